"""The reviewed table from conda package names to PyPI names: guessing would install strangers' packages."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


RENAMED: dict[str, str] = {
    "bs4": "beautifulsoup4",
    "dask-core": "dask",
    "faiss": "faiss-cpu",
    "gitpython": "GitPython",
    "huggingface_hub": "huggingface-hub",
    "importlib_metadata": "importlib-metadata",
    "importlib_resources": "importlib-resources",
    "matplotlib-base": "matplotlib",
    "msgpack-python": "msgpack",
    "opencv": "opencv-python-headless",
    "opencv-python": "opencv-python-headless",
    "py-opencv": "opencv-python-headless",
    "libopencv": "opencv-python-headless",
    "pillow-simd": "pillow",
    "pil": "pillow",
    "prompt_toolkit": "prompt-toolkit",
    "psycopg2": "psycopg2-binary",
    "py-lightgbm": "lightgbm",
    "py-xgboost": "xgboost",
    "py-xgboost-cpu": "xgboost",
    "py-xgboost-gpu": "xgboost",
    "pyarrow-core": "pyarrow",
    "pysocks": "PySocks",
    "pytables": "tables",
    "python-flatbuffers": "flatbuffers",
    "python-graphviz": "graphviz",
    "python-tzdata": "tzdata",
    "python-xxhash": "xxhash",
    "pytorch": "torch",
    "pytorch-cpu": "torch",
    "pytorch-gpu": "torch",
    "pytorch_lightning": "pytorch-lightning",
    "ray-core": "ray",
    "ray-default": "ray[default]",
    "ray-tune": "ray[tune]",
    "redis-py": "redis",
    "docker-py": "docker",
    "ruamel_yaml": "ruamel.yaml",
    "seaborn-base": "seaborn",
    "sklearn": "scikit-learn",
    "sqlalchemy": "SQLAlchemy",
    "tensorflow-base": "tensorflow",
    "tensorflow-gpu": "tensorflow",
    "tensorflow-mkl": "tensorflow",
    "torchvision-cpu": "torchvision",
    "typing_extensions": "typing-extensions",
    "xgboost-cpu": "xgboost",
    "xgboost-gpu": "xgboost",
}
"""conda name -> PyPI requirement name (with extras where conda splits a package)."""

SAME: frozenset[str] = _words(
    """
    absl-py accelerate adal aiohttp alembic albumentations altair anyio applicationinsights arviz asgiref astor astropy
    audioread azure-mgmt-core azureml-core azureml-mlflow azureml-dataset-runtime azureml-defaults
    azureml-inference-server-http azure-ai-ml backoff bayesian-optimization bcrypt black blinker blosc2 bokeh boto3
    botocore bottleneck cachetools category_encoders causalml certifi cffi charset-normalizer click cloudpickle cmaes
    colorama coloredlogs configargparse configparser coverage croniter cryptography cvxopt cvxpy cycler cython cytoolz
    dask databricks-cli dataclasses-json datasets debugpy decorator deepdiff deepspeed deprecated dill diskcache
    distributed docker docopt dvc econml einops emoji evaluate executing fairlearn fastapi fastavro fastparquet
    featuretools filelock fire flake8 flask flask-cors flax flatbuffers fonttools formulaic fsspec future gast geopandas
    google-auth google-cloud-storage google-pasta gpy gpytorch greenlet gunicorn gym gymnasium h5netcdf h5py hdbscan
    holidays holoviews hpbandster httpx hyperopt hypothesis idna imageio inference-schema ipykernel ipywidgets isodate
    isort itsdangerous jax jaxlib jedi jinja2 jmespath joblib json5 jsonpickle jsonschema jupyter jupyterlab keras
    keras-preprocessing keyring kiwisolver lark lazy_loader librosa lime llvmlite lxml lz4 mako markdown markupsafe
    marshmallow matplotlib matplotlib-inline mdurl memory_profiler missingno mizani mlflow mlxtend mock more-itertools
    mpmath msal msgpack msrest multidict mypy nbconvert nbformat nest-asyncio netcdf4 networkx neuralprophet nibabel
    ninja nltk notebook numba numexpr numpy nvidia-ml-py oauthlib omegaconf onnx onnxconverter-common onnxruntime openai
    opt_einsum optuna orjson packaging pandas pandas-profiling pandera papermill paramiko parso partd pathspec patsy
    peft pexpect pickleshare pillow pingouin platformdirs plotly plotnine pluggy polars pooch portalocker pre-commit
    prettytable prometheus_client prompt_toolkit prophet psutil ptyprocess pure_eval py-cpuinfo pyarrow pyasn1
    pycocotools pycodestyle pycparser pydantic pydot pyflakes pygments pyjwt pylint pymc pymongo pymysql pynvml pyod
    pyodbc pyopenssl pyparsing pyproj pyreadstat pyrsistent pystan pytest pytest-cov python-dotenv python-json-logger
    python-multipart pytorch-tabnet pytz pywavelets pyzmq querystring_parser rasterio ray recordlinkage regex requests
    requests-oauthlib rich rsa ruff s3fs s3transfer sacrebleu sacremoses safetensors salib scikit-optimize scikit-plot
    scikit-surprise sdv seaborn seldon-core sentencepiece seqeval setuptools setuptools-scm shap shapely simplejson six
    sktime skorch smart_open smac sniffio snowflake-connector-python sortedcontainers soundfile soupsieve spacy sqlparse
    stack_data starlette statsforecast statsmodels streamlit sympy tabulate tblib tenacity tensorboard tensorboardx
    tensorflow tensorflow-datasets tensorflow-estimator tensorflow-hub tensorflow-probability termcolor textblob
    textdistance threadpoolctl thrift tifffile tiktoken timm tokenizers toml tomli toolz torch torchaudio torchmetrics
    torchtext torchvision tornado tqdm traitlets transformers treelite tsfresh tslearn typeguard typer typing-extensions
    tzdata ujson urllib3 uvicorn waitress wandb watchdog wcwidth webencodings websocket-client werkzeug wheel wordcloud
    wrapt xgboost xlrd xlsxwriter openpyxl xxhash yarl yellowbrick zict zipp zstandard geopy folium biopython rdkit
    gdown h2o lightfm implicit attrs azure-core azure-identity azure-storage-blob beautifulsoup4 blosc cartopy catboost
    cuda-python dm-tree faiss-cpu fasttext ffmpeg-python gensim grpcio imbalanced-learn imgaug ipython lightgbm
    lightning mlflow-skinny mpi4py protobuf py4j pyspark python-dateutil python-snappy pytorch-lightning ruamel.yaml
    scikit-image scikit-learn scipy sentence-transformers skl2onnx tensorflow-cpu umap-learn xarray zarr tables pyyaml
    """
)
"""Names that mean the same package in both worlds."""

SKIPPED: dict[str, str] = {
    **dict.fromkeys(
        _words(
            "cudatoolkit cudnn cuda cuda-runtime cuda-toolkit cuda-version cuda-nvcc nccl cupti pytorch-cuda "
            "pytorch-mutex cpuonly magma tensorrt cuda-cudart cuda-libraries libcublas cudatoolkit-dev cuda-nvrtc"
        ),
        "wheels bring their own CUDA libraries",
    ),
    **dict.fromkeys(
        _words(
            "mkl mkl-service mkl_fft mkl_random intel-openmp blas libblas libcblas liblapack libopenblas openblas "
            "nomkl llvm-openmp libgomp _openmp_mutex libgfortran-ng libgfortran libgfortran5 tbb fftw gsl"
        ),
        "wheels bring their own numerical libraries",
    ),
    **dict.fromkeys(
        _words(
            "_libgcc_mutex libgcc-ng libgcc libstdcxx-ng libstdcxx ld_impl_linux-64 libffi ncurses readline tk xz zlib "
            "libzlib bzip2 libuuid libnsl libxcrypt expat libexpat sqlite libsqlite openssl ca-certificates python_abi "
            "lz4-c zstd libpng libjpeg-turbo jpeg libtiff libwebp freetype lcms2 olefile libxml2 libxslt icu "
            "libprotobuf hdf5 libnetcdf boost-cpp snappy libsndfile _py-xgboost-mutex libxgboost liblightgbm "
            "gflags glog c-ares libev abseil-cpp libcurl libssh2 krb5 libedit"
        ),
        "part of the system or of the wheels",
    ),
    "pip": "uv installs the packages",
    "conda": "uv installs the packages",
    "mamba": "uv installs the packages",
    "ipython_genutils": "not needed by current versions",
}
"""conda packages that have no counterpart on PyPI and are not missed, with the reason."""

NOT_PYTHON: frozenset[str] = _words(
    """
    gcc gxx gfortran gcc_linux-64 gxx_linux-64 gfortran_linux-64 compilers cxx-compiler c-compiler make cmake git
    git-lfs nodejs npm yarn openjdk java-jdk maven r-base r-essentials rust go ffmpeg graphviz openmpi mpich curl wget
    unzip tesseract poppler imagemagick sox gdal libgdal postgresql mysql redis redis-server nginx perl ruby julia
    azure-cli docker-cli kubectl openslide libsndfile-dev portaudio bash coreutils vim
    """
)
"""Programs and libraries that a Python environment cannot bring."""


def pypi_name(conda_name: str) -> str | None:
    """The PyPI requirement name for a conda package name; None when the table does not know it."""
    name = conda_name.lower()
    if name in RENAMED:
        return RENAMED[name]
    return name if name in SAME or name.replace("_", "-") in SAME else None


def skip_reason(conda_name: str) -> str | None:
    """Why a conda package may be left out without harm; None when it may not."""
    name = conda_name.lower()
    if name.startswith(("libnv", "libcu", "cuda-", "nvidia::")):
        return "wheels bring their own CUDA libraries"
    return SKIPPED.get(name)


def is_not_python(conda_name: str) -> bool:
    """True for what is known to be no Python package at all."""
    name = conda_name.lower()
    return name in NOT_PYTHON or name.startswith("r-")
