"""Makes the demo's data from the 1,797 handwritten digits that come with scikit-learn: clean ones, and drifted ones.

Drifted: the same writers, but the scanner was moved: turned by 15 to 35 degrees, with noise.
"""

import sys
from pathlib import Path

import numpy as np
from scipy.ndimage import rotate
from sklearn.datasets import load_digits

sys.path.insert(0, str(Path(__file__).parent / "src"))
from digits import write


def main(folder: Path) -> None:
    rng = np.random.default_rng(7)
    bunch = load_digits()
    order = rng.permutation(len(bunch.target))
    images, labels = bunch.data[order], bunch.target[order]
    drifted = np.array([drift(image, rng) for image in images])
    train, test, live = slice(0, 1000), slice(1000, 1400), slice(1400, None)
    write(folder / "clean" / "train.csv", images[train], labels[train])
    write(folder / "clean-live.csv", images[live], labels[live])
    write(
        folder / "drifted" / "train.csv",
        np.vstack([images[train], drifted[train]]),
        np.r_[labels[train], labels[train]],
    )
    write(folder / "drifted-test" / "test.csv", drifted[test], labels[test])
    write(folder / "drifted-live.csv", drifted[live], labels[live])


def drift(image, rng):
    turned = rotate(image.reshape(8, 8), rng.uniform(15, 35), reshape=False, order=1)
    return np.clip(turned + rng.normal(0, 1.5, (8, 8)), 0, 16).ravel()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
