"""The smallest classifier that learns: a reading belongs to the class whose mean it is nearest to."""

import json
from pathlib import Path


class Model:
    def __init__(self, means):
        self.means = means

    @classmethod
    def trained(cls, rows):
        means = {}
        for kind in (0, 1):
            mine = [reading for reading, failed in rows if failed == kind]
            means[kind] = [sum(values) / len(mine) for values in zip(*mine, strict=True)]
        return cls(means)

    @classmethod
    def loaded(cls, folder):
        [path] = Path(folder).rglob("means.json")
        return cls({int(kind): mean for kind, mean in json.loads(path.read_text()).items()})

    def save(self, folder):
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / "means.json").write_text(json.dumps(self.means))

    def predict(self, reading):
        far = {kind: sum((a - b) ** 2 for a, b in zip(reading, mean, strict=True)) for kind, mean in self.means.items()}
        return min(far, key=far.get)

    def accuracy(self, rows):
        return sum(self.predict(reading) == failed for reading, failed in rows) / len(rows)
