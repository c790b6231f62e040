"""Look up the installed packages in the index of known vulnerabilities, where it can be reached.

pip-audit takes a package that the index doesn't answer about for one that isn't on PyPI, and
passes. So what it could look up is counted: if that is nothing, the step says that it was left out.
"""

from __future__ import annotations

import json
import subprocess
import sys

SECONDS = 300

LEFT_OUT = (
    "LEFT OUT: no index of vulnerabilities answers from here. Run it where one can be reached."
)


def main() -> int:
    """Return 0 if no installed package has a known vulnerability, or if nobody could be asked."""
    command = (sys.executable, "-m", "pip_audit", "--local", "--skip-editable", "--format", "json")
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        packages = json.loads(run.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        print(LEFT_OUT)
        return 0
    audited = [package for package in packages if "vulns" in package]
    if not audited:
        print(LEFT_OUT)
        return 0
    vulnerable = [package for package in audited if package["vulns"]]
    for package in vulnerable:
        ids = ", ".join(found["id"] for found in package["vulns"])
        print(f"{package['name']} {package['version']}: {ids}")
    print(f"{len(audited)} of {len(packages)} packages looked up, {len(vulnerable)} vulnerable")
    return 1 if vulnerable else 0


if __name__ == "__main__":
    sys.exit(main())
