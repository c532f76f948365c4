import importlib.util
import os

from ferryml.runner.archive import MADE
from ferryml.runner.finish import main


def test_sources_get_one_date_and_are_compiled_for_it(tmp_path):
    source = tmp_path / "lib/a/b.py"
    source.parent.mkdir(parents=True)
    source.write_text("x = 1\n")
    (tmp_path / "lib/broken.py").write_text("x = = 1\n")
    assert main(str(tmp_path)) == 0
    assert source.stat().st_mtime == MADE
    compiled = importlib.util.cache_from_source(str(source))
    with open(compiled, "rb") as file:
        assert int.from_bytes(file.read(12)[8:], "little") == MADE
    assert not os.path.exists(importlib.util.cache_from_source(str(tmp_path / "lib/broken.py")))
