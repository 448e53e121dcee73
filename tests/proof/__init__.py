"""What the house promises, proved by breaking it: `python -m tests.proof`, and in its short form tests/campaigns/test_proof.py.

Each proof is a module with run(seed, scale): it prints one line of counts, and raises AssertionError naming its seed."""
