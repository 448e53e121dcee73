"""Names: as varied as those in an American telephone book, and the addresses people make of them."""

import unicodedata
from random import Random
from typing import NamedTuple


class Origin(NamedTuple):
    """Where a family's names come from. share: of all people, in percent; languages: code -> share within it."""

    share: int
    first: tuple[str, ...]
    last: tuple[str, ...]
    languages: dict[str, int]


class Name(NamedTuple):
    """A person's name. language: ISO 639-1."""

    first: str
    last: str
    language: str


def _origin(share: int, first: str, last: str, **languages: int) -> Origin:
    return Origin(share, tuple(first.split()), tuple(name.replace("_", " ") for name in last.split()), languages)


ORIGINS = (
    _origin(
        40,
        "James Mary Robert Linda Michael Patricia David Jennifer William Elizabeth Richard Susan Joseph Karen Thomas"
        " Nancy Charles Margaret Daniel Lisa Matthew Betty Mark Sandra Steven Ashley Andrew Emily Joshua Kimberly Kevin"
        " Donna Brian Carol Timothy Michelle Jason Amanda Ryan Melissa Jacob Rebecca Eric Laura Scott Hannah Benjamin"
        " Grace Samuel Olivia Gregory Abigail Patrick Megan Tyler Claire Nathan Heather Ethan Julia Wesley Paige",
        "Smith Johnson Miller Davis Wilson Anderson Taylor Moore Martin Thompson White Clark Lewis Hall Allen Young"
        " King Wright Hill Green Adams Baker Nelson Carter Mitchell Roberts Turner Phillips Campbell Parker Evans"
        " Collins Stewart Morris Rogers Reed Cook Bailey Cooper Richardson Cox Ward Peterson Gray Bennett Wood Barnes"
        " Ross Henderson Coleman Jenkins Perry Powell Long Hughes Foster Bryant Russell Griffin Hayes Fletcher",
        en=100,
    ),
    _origin(
        22,
        "José María Luis Carmen Juan Ana Carlos Rosa Jorge Guadalupe Miguel Elena Antonio Lucía Francisco Sofía Pedro"
        " Isabel Manuel Teresa Ricardo Gabriela Fernando Verónica Roberto Alejandra Eduardo Claudia Javier Mariana"
        " Raúl Daniela Sergio Valeria Andrés Camila Diego Paola Héctor Yolanda Ramón Beatriz Óscar Marisol Rubén Inés",
        "García Rodríguez Martínez Hernández López González Pérez Sánchez Ramírez Torres Flores Rivera Gómez Díaz Reyes"
        " Cruz Morales Ortiz Gutiérrez Chávez Ramos Ruiz Mendoza Álvarez Castillo Jiménez Vásquez Romero Herrera Medina"
        " Aguilar Vargas Castro Guzmán Muñoz Salazar Delgado Peña Ríos Soto Núñez Acosta Figueroa De_la_Cruz",
        en=58, es=42,
    ),
    _origin(
        13,
        "Darnell Keisha Malik Latoya Jamal Ebony Terrence Imani Andre Monique DeShawn Tanisha Marcus Aaliyah Isaiah"
        " Jasmine Xavier Kiara Reginald Destiny Tyrone Simone Dwayne Naomi Curtis Yvonne Elijah Nia Jerome Tamika",
        "Washington Jefferson Jackson Williams Brown Robinson Harris Walker Banks Booker Mosley Freeman Gaines Dorsey"
        " Hampton Byrd Tate Boone Singleton Charles Franklin Okafor Mensah Diallo Bekele Adeyemi Batiste Gadson Sims",
        en=98, fr=2,
    ),
    _origin(
        9,
        "Wei Mei Jun Li Hao Xin Ming Yan Minh Linh Tuan Thuy Duc Huong Ji-woo Min-jun Soo-jin Hana Kenji Yuki Akira"
        " Emi Jenny Kevin Grace Andrew Michelle Eugene Angelica Ramon Maricel Jasper",
        "Chen Wang Li Zhang Liu Yang Huang Wu Lin Zhao Chang Nguyen Tran Le Pham Hoang Phan Vu Kim Park Lee Choi Jung"
        " Tanaka Sato Nakamura Yamamoto Santos Dela_Cruz Bautista Villanueva Wong Cheung",
        en=86, zh=8, vi=6,
    ),
    _origin(
        7,
        "Priya Arjun Ananya Rahul Kavya Vikram Neha Rohan Deepa Sanjay Meera Amit Pooja Suresh Lakshmi Omar Fatima Ali"
        " Aisha Yusuf Layla Hassan Noor Karim Zainab Farah Imran Sana Reza Leila",
        "Patel Sharma Singh Kumar Gupta Reddy Nair Iyer Mehta Shah Desai Rao Kapoor Khan Ahmed Hussain Malik Rahman"
        " Siddiqui Haddad Nasser Khalil Mansour Farouk Aziz Hosseini Rahimi Sarkis",
        en=98, ar=2,
    ),
    _origin(
        9,
        "Anna Stefan Katarzyna Piotr Giulia Marco Siobhán Declan Ingrid Lars Zoë François Élise Jürgen Heidi Nikolai"
        " Svetlana Dimitri Eleni Mikhail Saoirse Brendan Gianna Luca Astrid Bjørn Milan Jovana Aaron Miriam Tova Ezra",
        "Kowalski Nowak Wiśniewski Rossi Romano Esposito O'Brien Murphy Kelly O'Sullivan Johansson Larsen Müller"
        " Weber Schneider Dubois Lefèvre Ivanov Petrov Papadopoulos Novak Horvat Cohen Goldberg Rosenthal Shapiro"
        " Van_der_Berg De_Vries Lindqvist Søndergaard MacLeod",
        en=98, pl=2,
    ),
)  # fmt: skip
DOMAINS = ("example.com", "example.org", "example.net")
_PLAIN = str.maketrans({"ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "ß": "ss"})


def make(rng: Random) -> Name:
    """Returns somebody's name; one in fifty has a double-barrelled last name."""
    origin = rng.choices(ORIGINS, [origin.share for origin in ORIGINS])[0]
    last = rng.choice(origin.last)
    if rng.random() < 0.02:
        last = f"{last}-{rng.choice(origin.last)}"
    language = rng.choices(list(origin.languages), list(origin.languages.values()))[0]
    return Name(rng.choice(origin.first), last, language)


class AddressBook:
    """Gives every asker an e-mail address of their own."""

    def __init__(self, rng: Random):
        self._rng = rng
        self._taken: set[str] = set()

    def take(self, name: Name, born: int | None) -> str:
        """Returns an address nobody has yet. born: the year of birth, if known."""
        first, last = folded(name.first), folded(name.last)
        year = f"{born % 100:02d}" if born else str(self._rng.randint(1, 99))
        forms = (f"{first}.{last}", f"{first[0]}{last}", f"{first}_{last}", f"{first}{last}{year}", f"{last}.{first}",
                 f"{first}.{last}{year}", f"{first}{year}")  # fmt: skip
        local = self._rng.choices(forms, (34, 15, 8, 15, 8, 16, 4))[0]
        domain = self._rng.choices(DOMAINS, (70, 17, 13))[0]
        address, n = f"{local}@{domain}", 1
        while address in self._taken:
            n += 1
            address = f"{local}{n}@{domain}"
        self._taken.add(address)
        return address


def folded(name: str) -> str:
    """Returns the name in the letters an address is made of: a to z."""
    plain = unicodedata.normalize("NFKD", name.translate(_PLAIN)).encode("ascii", "ignore").decode().lower()
    return "".join(letter for letter in plain if letter.isalpha())
