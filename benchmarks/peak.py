"""`python -m benchmarks.peak FILE MODULE ARGUMENTS`: run a module; write its peak memory, in kB.

By the kernel's high-water mark of this program: `getrusage` would include the parent's memory at
the fork.
"""

import runpy
import sys
from pathlib import Path


def main() -> int:
    """Run the module as `python -m` does; return its exit code."""
    target, module, *arguments = sys.argv[1:]
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    finally:
        status = Path("/proc/self/status").read_text().splitlines()
        peak = next(line.split()[1] for line in status if line.startswith("VmHWM:"))
        Path(target).write_text(peak)
    return 0


if __name__ == "__main__":
    sys.exit(main())
