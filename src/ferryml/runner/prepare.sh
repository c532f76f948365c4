# Makes the Python environment of a job in the user's own image; main.sh runs it, `stage` has laid out $prep.
# Conda itself where the image has it and the site has a channel, else uv. What it found out it leaves in $prep:
# `version`, `notes`, `pinned`, `conda.lock`, or `reason` when it failed.

prep=$FERRY_PREPARATION target=$FERRY_ENVIRONMENT
own=$FERRY_BIN/uv
unset VIRTUAL_ENV CONDA_PREFIX PYTHONPATH PYTHONHOME UV_PROJECT UV_PROJECT_ENVIRONMENT

fail() {
    printf '%s\n' "$1" >"$prep/reason"
    printf 'ferry: %s\n' "$1" >&2
    exit 1
}

say() { printf 'ferry: %s\n' "$1"; }

# What a program said on its way to failure is the reason; `collect` finds the line that matters.
run() {
    "$@" 2>"$prep/said"
    code=$?
    cat "$prep/said" >&2
    [ "$code" -eq 0 ] || { cp "$prep/said" "$prep/reason" && exit "$code"; }
}

uv() { run "$own" "$@" --quiet --no-progress --color never; }

find_conda() {
    for tool in micromamba mamba conda /opt/conda/bin/conda /opt/miniconda/bin/conda /usr/local/bin/micromamba; do
        conda=$(command -v "$tool") && return
    done
    return 1
}

candidates() {
    for name in python3 python; do command -v "$name"; done
    for folder in $(printf '%s' "$PATH:/opt/conda/bin:/usr/local/bin:/usr/bin" | tr ':' ' ') /opt/*/bin; do
        for path in "$folder"/python3.[0-9] "$folder"/python3.[0-9][0-9]; do
            [ -x "$path" ] && printf '%s\n' "$path"
        done
    done
}

# The Python that is asked for, in $version and $python; 1 when the image has none, with the reason in $chosen.
choose() {
    candidates 2>/dev/null >"$prep/candidates"
    chosen="the image has no Python 3.8 or newer. Use an image with one."
    any=
    while read -r path; do
        "$path" -I -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null && any=$path && break
    done <"$prep/candidates"
    [ -n "$any" ] || return 1
    chosen=$("$any" -I "$prep/choose.py" "$FERRY_PYTHON" "$FERRY_PYTHON_POLICY" <"$prep/candidates") || return 1
    printf '%s\n' "$chosen" >"$prep/chosen"
    { read -r version && read -r python && read -r note; } <"$prep/chosen"
    [ -z "$note" ] || printf '%s\n' "$note" >>"$prep/notes"
}

with_conda() {
    say "making the environment with $conda"
    [ ! -s "$prep/conda.notes" ] || : >"$prep/conda.notes"
    set -- create --yes --quiet --prefix "$target" --override-channels
    while read -r word; do set -- "$@" "$word"; done <"$prep/conda.txt"
    MAMBA_ROOT_PREFIX=$FERRY_CACHE/mamba CONDA_PKGS_DIRS=$FERRY_CACHE/conda
    export MAMBA_ROOT_PREFIX CONDA_PKGS_DIRS
    run "$conda" "$@"
    for record in "$target"/conda-meta/*.json; do
        record=${record##*/}
        printf '# conda %s\n' "${record%.json}"
    done >"$prep/conda.lock"
    version=$("$target/bin/python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])') ||
        fail "the conda environment has no Python. Add python=3.11 to its dependencies."
    if [ -s "$prep/pip.txt" ]; then
        say "installing pip requirements"
        uv pip install --python "$target/bin/python" --requirements "$prep/pip.txt"
    fi
    "$own" pip freeze --python "$target/bin/python" --quiet 2>/dev/null | grep '==' >"$prep/pinned"
}

with_uv() {
    say "making the environment with Python $version ($python)"
    cat "$prep/mapped.notes" >>"$prep/notes"
    uv venv --no-project ${FERRY_INHERIT:+--system-site-packages} --python "$python" "$target"
    minor=${version%.*}
    if [ -s "$prep/lock.txt" ] && { [ -z "$FERRY_LOCK_PYTHON" ] || [ "$FERRY_LOCK_PYTHON" = "$minor" ]; }; then
        say "installing the lock"
        cp "$prep/lock.txt" "$prep/pinned"
    elif [ -s "$prep/requirements.txt" ]; then
        say "resolving requirements"
        set --
        [ ! -s "$prep/constraints.txt" ] || set -- --constraint "$prep/constraints.txt"
        uv pip compile "$prep/requirements.txt" --python "$target/bin/python" --generate-hashes --no-header \
            --no-annotate --output-file "$prep/pinned" "$@" >/dev/null
        say "installing packages"
    else
        : >"$prep/pinned"
    fi
    cat "$prep/options.txt" "$prep/pinned" >"$prep/install.txt"
    uv pip sync --python "$target/bin/python" --allow-empty-requirements "$prep/install.txt"
}

"$own" --version >/dev/null 2>&1 || own=$(command -v uv) ||
    fail "uv does not run in this image, which has another C library. Use an image with glibc, or one with uv in it."
[ ! -e "$target" ] || rm -rf "$target"
if choose; then found=yes; else found=; fi
if [ -n "$FERRY_CONDA" ] && find_conda && { [ -z "$found" ] || [ -s "$prep/conda.wanted" ]; }; then
    with_conda
elif [ -s "$prep/unmapped" ]; then
    read -r reason <"$prep/unmapped"
    fail "$reason"
elif [ -n "$found" ]; then
    with_uv
else
    fail "$chosen"
fi
printf '%s\n' "$version" >"$prep/version"
say "compiling"
"$target/bin/python" -I "$prep/finish.py" "$target" || say "compiling did not work; the first start will be slower"
