"""The data sets there are: one entry each, and nothing that takes time to import."""

from dataclasses import dataclass, field

_FASHION = (
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
)
_DIGITS = tuple("0123456789")
_OBJECTS = (
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
)


@dataclass(frozen=True)
class Entry:
    """What must be known of a data set.

    Attributes
    ----------
    name, title
        Key in the configuration and in paths; name in print.
    classes
        Names of the classes, in the order of their labels.
    shape
        Channels, height, width.
    images
        How many there are to train on and to test on.
    mean, std
        Its own standardisation: of its training pixels, in 0..1.
    channel_mean, channel_std
        The same for each channel, as the study's later code has it; empty for grey images, whose
        only channel has `mean` and `std`.
    licence, origin
        Terms, and who made it.
    loader
        Module in `ffensembles.datasets` that obtains and reads it.
    urls
        Where the files lie in the open; a loader may know more places.
    files
        md5 of every file, by name.
    folder
        Folder of the files within the data folder.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    images: tuple[int, int]
    mean: float
    std: float
    licence: str
    origin: str
    loader: str
    urls: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    folder: str = ""
    channel_mean: tuple[float, ...] = ()
    channel_std: tuple[float, ...] = ()

    def scale(self, by_channel: bool = False) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return mean and deviation of each channel: its own, or the same for all."""
        if by_channel and self.channel_mean:
            return self.channel_mean, self.channel_std
        return (self.mean,) * self.shape[0], (self.std,) * self.shape[0]

    @property
    def module(self) -> str:
        """The module of its loader."""
        return f"ffensembles.datasets.{self.loader}"


_ENTRIES = (
    Entry(
        name="digits",
        title="Digits",
        classes=_DIGITS,
        shape=(1, 28, 28),
        images=(1437, 360),
        mean=0.1725,
        std=0.3060,
        licence="CC BY 4.0",
        origin="1,797 handwritten digits of 8 x 8 pixels (Alpaydin and Kaynak 1998)",
        loader="digits",
    ),
    Entry(
        name="mnist",
        title="MNIST",
        classes=_DIGITS,
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
    ),
    Entry(
        name="fashionmnist",
        title="FashionMNIST",
        classes=_FASHION,
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
    ),
    Entry(
        name="cifar10",
        title="CIFAR10",
        classes=_OBJECTS,
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
    ),
    Entry(
        name="svhn",
        title="SVHN",
        classes=_DIGITS,
        shape=(3, 32, 32),
        images=(73_257, 26_032),
        mean=0.4514,
        std=0.1993,
        licence="non-commercial use only",
        origin="99,289 house numbers seen from the street (Netzer et al. 2011), cropped digits",
        loader="svhn",
        urls=("http://ufldl.stanford.edu/housenumbers/",),
        files={
            "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
            "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
        },
        folder="SVHN",
        channel_mean=(0.4377, 0.4438, 0.4728),
        channel_std=(0.1980, 0.2010, 0.1970),
    ),
)

DATASETS = {entry.name: entry for entry in _ENTRIES}
"""Every data set by name; to add one, write an entry and, for a new format, a loader."""
