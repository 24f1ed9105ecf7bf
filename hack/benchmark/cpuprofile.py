"""``python -m benchmark.cpuprofile FILE -m MODULE ARGUMENT...``: cProfile by the thread's CPU time.

By the clock, as ``python -m cProfile`` measures, an event loop's waiting would hide everything else.
"""

import cProfile
import runpy
import sys
import time


def main() -> None:
    """Run a module as if it were called directly, and write its profile when it ends."""
    _, target, _, module, *arguments = sys.argv
    sys.argv = [module, *arguments]
    profiler = cProfile.Profile(time.thread_time)
    try:
        profiler.runcall(runpy.run_module, module, run_name="__main__", alter_sys=True)
    finally:
        profiler.dump_stats(target)


if __name__ == "__main__":
    main()
