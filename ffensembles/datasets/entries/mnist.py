"""MNIST."""

from ffensembles.datasets.entry import Entry

ENTRY = Entry(
    name="mnist",
    title="MNIST",
    order=1,
    classes=tuple("0123456789"),
    shape=(1, 28, 28),
    images=(60_000, 10_000),
    mean=0.1307,
    std=0.3081,
    licence="CC BY-SA 3.0",
    origin="70,000 handwritten digits (LeCun and Cortes 2010)",
    loader="idx",
    files={
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    },
    folder="MNIST/raw",
)
