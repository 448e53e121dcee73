"""Prints the performance table. Bounded: a few minutes on two cores."""

from tests.bench import counting, importing, planning, receipts, segmenting, sending

if __name__ == "__main__":
    importing.main()
    counting.main()
    segmenting.main()
    planning.main()
    sending.main()
    receipts.main()
