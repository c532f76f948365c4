"""What goes into Ferry's images: each change of it is noticed, and the locks hold what the project asks for."""

import tomllib

import images


def test_the_key_follows_the_content(tmp_path, monkeypatch):
    for path in [*(place for places in images.INPUTS.values() for place in places), "deploy/images"]:
        source = images.ROOT / path
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            target.symlink_to(source)
    monkeypatch.setattr(images, "ROOT", tmp_path)
    before = {name: images.digest(name) for name in images.INPUTS}
    assert images.digest("agent", "another base") != before["agent"]
    lock = tmp_path / "locks" / "agent.txt"
    lock.unlink()
    lock.write_text("other")
    after = {name: images.digest(name) for name in images.INPUTS}
    assert [name for name in after if after[name] != before[name]] == ["agent", "router"]


def test_locks_have_what_the_project_asks_for():
    project = tomllib.loads((images.ROOT / "pyproject.toml").read_text())["project"]
    for extra in ("agent", "server"):
        locked = (images.ROOT / "locks" / f"{extra}.txt").read_text()
        for line in [*project["dependencies"], *project["optional-dependencies"][extra]]:
            name = line.split(">")[0].split("[")[0]
            assert f"\n{name.replace('.', '-')}==" in f"\n{locked}" or name == "uv", f"{name}: run make lock"
