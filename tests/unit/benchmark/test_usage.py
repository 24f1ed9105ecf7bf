"""What processes use is read from the kernel."""

import os

from benchmark.usage import cpu_seconds, difference, peak_in

STATUS = "Name:\tpython\nVmPeak:\t  512000 kB\nVmHWM:\t   90000 kB\nVmRSS:\t   80000 kB\n"


def test_the_peak_is_what_was_resident_and_not_what_is() -> None:
    assert peak_in(STATUS) == 90_000 * 1024


def test_a_process_that_works_uses_cpu_time() -> None:
    before = cpu_seconds({"client": os.getpid()})
    while cpu_seconds({"client": os.getpid()}) == before:
        sum(range(10_000))

    assert difference(before, cpu_seconds({"client": os.getpid()}))["client"] > 0
