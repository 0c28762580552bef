"""Parsing of wrk's report, and medians of its numbers."""

import math

from benchmarks.load import Load, parse

REPORT = """Running 4s test @ http://127.0.0.1:8000/predict
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.54ms    1.79ms  30.12ms   88.49%
    Req/Sec     6.70k     1.02k    7.97k    80.00%
  Latency Distribution
     50%  389.00us
     75%    2.91ms
     90%    4.06ms
     99%    1.21s
  26703 requests in 4.01s, 9.98MB read
  Socket errors: connect 1, read 2, write 3, timeout 4
  Non-2xx or 3xx responses: 5
Requests/sec:   6662.25
Transfer/sec:      2.49MB
""".replace("1.21s", "1.21s ")  # wrk pads seconds with a space


def test_a_report_becomes_numbers() -> None:
    """A report yields rate, percentiles in milliseconds from any unit, and all failures' sum."""
    assert parse(REPORT) == Load(rate=6662.25, p50=0.389, p99=1210.0, failed=15)


def test_a_report_without_answers_says_so() -> None:
    """A report without responses yields rate 0 and NaN percentiles."""
    found = parse("Requests/sec:      0.00\n")
    assert found.rate == 0
    assert math.isnan(found.p99)


def test_medians_are_taken_number_by_number_and_failures_added() -> None:
    """Each number is the median of the rounds; failures are summed over all rounds."""
    rounds = [Load(100, 1, 9, 0), Load(300, 3, 7, 2), Load(200, 2, 8, 1)]
    assert Load.median(rounds) == Load(200, 2, 8, 3)


def test_the_cores_of_server_and_generator_have_medians_apart() -> None:
    """The medians of the core counts are independent of each other and of the rate's."""
    turns = [Load(1, 1, 1, 0, wrk, server) for wrk, server in ((0.3, 1.0), (0.1, 1.2), (0.2, 1.1))]
    assert Load.median(turns) == Load(1, 1, 1, 0, wrk_cores=0.2, server_cores=1.1)
