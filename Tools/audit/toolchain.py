"""The tools that come with the Swift toolchain, whatever else is on the path."""
import os
import shutil
import subprocess
import sys


def tool(name, *arguments):
    """What a tool prints. If it fails, nothing was checked: exit 2, which no check answers."""
    swiftc = shutil.which("swiftc")
    if swiftc is None:
        print("swiftc is not on the path", file=sys.stderr)
        sys.exit(2)
    path = os.path.join(os.path.dirname(swiftc), name)
    result = subprocess.run([path, *arguments], capture_output=True, text=True)
    if result.returncode != 0:
        print(f"{name} failed: {result.stderr.strip()[-2000:]}", file=sys.stderr)
        sys.exit(2)
    return result.stdout


def report(findings, passed):
    """Prints findings and exits 1, or prints what passed."""
    for finding in sorted(set(findings))[:40]:
        print(f"  {finding}")
    if findings:
        print(f"  {len(set(findings))} findings")
        sys.exit(1)
    print(f"  {passed}")
