"""Places: cities with the state, time zone and telephone area codes that really go with them."""

from random import Random
from typing import NamedTuple

FICTION = 100  # numbers of an area code that belong to nobody: 555-0100 to 555-0199


class City(NamedTuple):
    """A city. state: two letters; zone: IANA name; codes: its area codes, of which a larger city has more."""

    name: str
    state: str
    zone: str
    codes: tuple[str, ...]


REGIONS = {
    "Northeast": "NY PA MA NJ",
    "Midwest": "IL OH MI MN MO WI IN",
    "South": "TX FL GA NC TN OK LA KY VA MD",
    "West": "CA AZ WA CO OR NV UT NM ID HI AK",
}
REGION_OF = {state: region for region, states in REGIONS.items() for state in states.split()}
_EAST, _MIDDLE, _MOUNTAIN, _PACIFIC = "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"
_BY_ZONE = {
    _EAST: """
        New York NY 212 646 917 718 347, Buffalo NY 716, Rochester NY 585, Albany NY 518, Miami FL 305 786,
        Orlando FL 407 321, Tampa FL 813, Jacksonville FL 904, Columbus OH 614 380, Cleveland OH 216,
        Cincinnati OH 513, Atlanta GA 404 678 470, Savannah GA 912, Charlotte NC 704 980, Raleigh NC 919 984,
        Philadelphia PA 215 267, Pittsburgh PA 412 878, Knoxville TN 865, Boston MA 617 857, Richmond VA 804,
        Virginia Beach VA 757, Baltimore MD 410 443, Newark NJ 973 862""",
    _MIDDLE: """
        Austin TX 512 737, Houston TX 713 281 832 346, Dallas TX 214 469 972 945, San Antonio TX 210 726,
        Fort Worth TX 817 682, Chicago IL 312 773 872, Springfield IL 217, Naperville IL 630 331, Nashville TN 615 629,
        Memphis TN 901, Minneapolis MN 612, St. Paul MN 651, Kansas City MO 816, St. Louis MO 314, Milwaukee WI 414,
        Madison WI 608, Oklahoma City OK 405, New Orleans LA 504, Baton Rouge LA 225""",
    _MOUNTAIN: "El Paso TX 915, Denver CO 303 720, Salt Lake City UT 801 385, Albuquerque NM 505",
    _PACIFIC: """
        Los Angeles CA 213 323 310, San Diego CA 619 858, San Francisco CA 415 628, Sacramento CA 916,
        San Jose CA 408 669, Fresno CA 559, Seattle WA 206, Spokane WA 509, Portland OR 503 971,
        Las Vegas NV 702 725""",
    "America/Detroit": "Detroit MI 313, Grand Rapids MI 616",
    "America/Indiana/Indianapolis": "Indianapolis IN 317 463",
    "America/Kentucky/Louisville": "Louisville KY 502",
    "America/Phoenix": "Phoenix AZ 602 480, Tucson AZ 520",
    "America/Boise": "Boise ID 208 986",
    "Pacific/Honolulu": "Honolulu HI 808",
    "America/Anchorage": "Anchorage AK 907",
}  # fmt: skip


def _city(line: str, zone: str) -> City:
    words = line.split()
    codes = tuple(word for word in words if word.isdigit())
    return City(" ".join(words[: -len(codes) - 1]), words[-len(codes) - 1], zone, codes)


CITIES = [_city(line, zone) for zone, lines in _BY_ZONE.items() for line in lines.split(",")]
WEIGHTS = [len(city.codes) for city in CITIES]


class Phonebook:
    """Gives every asker another number of their city."""

    def __init__(self, rng: Random):
        self._free: dict[str, list[str]] = {}
        for city in CITIES:
            numbers = [f"+1{code}55501{n:02d}" for code in city.codes for n in range(FICTION)]
            rng.shuffle(numbers)
            self._free[city.name] = numbers

    def take(self, city: City) -> str | None:
        """Returns an E.164 number nobody has yet, or None where the city's are all taken."""
        free = self._free[city.name]
        return free.pop() if free else None
