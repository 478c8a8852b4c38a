# PlatformIO runs this: links the library of the board's processor.
import os

Import("env")  # noqa: F821, PlatformIO's

LIBRARIES = {
    "cortex-m0": "armv6m",
    "cortex-m0plus": "armv6m",
    # No Swift for armv7m: the smaller instruction set runs there.
    "cortex-m3": "armv6m",
    "cortex-m4": "armv7em",
    "cortex-m7": "armv7em",
    "cortex-m33": "armv7em",
}
processor = env.BoardConfig().get("build.cpu", "")  # noqa: F821
if processor not in LIBRARIES:
    raise SystemExit(f"tally: no library for the processor '{processor}'")
folder = os.path.join(os.getcwd(), "lib")
env.Append(LIBPATH=[folder], LIBS=[f"tally-{LIBRARIES[processor]}"])  # noqa: F821
