"""FashionMNIST."""

from ffensembles.datasets.entry import Entry

ENTRY = Entry(
    name="fashionmnist",
    title="FashionMNIST",
    order=2,
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    shape=(1, 28, 28),
    images=(60_000, 10_000),
    mean=0.2860,
    std=0.3530,
    licence="MIT",
    origin="70,000 pictures of clothing (Xiao, Rasul and Vollgraf 2017)",
    loader="idx",
    files={
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    },
    folder="FashionMNIST/raw",
)
