"""Prints the performance table. Bounded: a few minutes on two cores."""

from tests.bench import counting, importing, sending

if __name__ == "__main__":
    importing.main()
    counting.main()
    sending.main()
