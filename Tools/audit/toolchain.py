"""The tools that come with the Swift toolchain, whatever else is on the path."""
import os
import shutil
import subprocess
import sys


def tool(name, *arguments):
    """What a tool prints; the audit ends if it fails, because then nothing was checked."""
    swiftc = shutil.which("swiftc")
    if swiftc is None:
        sys.exit("swiftc is not on the path")
    path = os.path.join(os.path.dirname(swiftc), name)
    result = subprocess.run([path, *arguments], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{name} failed: {result.stderr.strip()}")
    return result.stdout
