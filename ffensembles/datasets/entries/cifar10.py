"""CIFAR10."""

from ffensembles.datasets.entry import Entry

ENTRY = Entry(
    name="cifar10",
    title="CIFAR10",
    order=3,
    classes=(
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ),
    shape=(3, 32, 32),
    images=(50_000, 10_000),
    mean=0.4734,
    std=0.2516,
    licence="unstated; free for research",
    origin="60,000 photographs of objects (Krizhevsky 2009), the binary version",
    loader="cifar",
    urls=("https://www.cs.toronto.edu/~kriz/",),
    files={"cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530"},
    folder="CIFAR10",
    channel_mean=(0.5, 0.5, 0.5),
    channel_std=(0.5, 0.5, 0.5),
)
