"""Reads the manifests and scripts of templates/ as their tools would.

    manifests.py FOLDER     copies of templates/ with the libraries in place

Arduino: the fields of library.properties. PlatformIO: library.json, and link.py for every processor that it
names. Zephyr: module.yml, Kconfig's keywords; CMakeLists.txt where there is a cmake. Standard library only.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

# What the Arduino library specification asks for, and the categories it knows.
FIELDS = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url", "architectures"}
OPTIONAL = {"includes", "precompiled", "ldflags", "depends", "dot_a_linkage", "license"}
CATEGORIES = {"Display", "Communication", "Signal Input/Output", "Sensors", "Device Control", "Timing",
              "Data Storage", "Data Processing", "Other"}
# Symbols of Zephyr's configuration, and the library each has to get.
CONFIGURATIONS = {"armv6m": ("CPU_CORTEX_M", "CPU_CORTEX_M0PLUS"), "armv7em": ("CPU_CORTEX_M", "CPU_CORTEX_M4"),
                  "riscv32": ("RISCV",)}


def require(condition, words):
    if not condition:
        sys.exit(words)


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def arduino(folder):
    lines = [line for line in read(folder, "library.properties").splitlines() if line]
    fields = dict(line.split("=", 1) for line in lines)
    require(len(fields) == len(lines), "library.properties: a field stands twice")
    require(FIELDS <= set(fields) <= FIELDS | OPTIONAL, "library.properties: a field is missing or unknown")
    require(re.fullmatch(r"\d+\.\d+\.\d+", fields["version"]), "library.properties: version")
    require(fields["category"] in CATEGORIES, "library.properties: category")
    require(fields["precompiled"] == "true" and fields["ldflags"] == "-ltally", "library.properties: linking")
    require(os.path.exists(os.path.join(folder, "src", fields["includes"])), "library.properties: includes")


class Environment:
    """What link.py asks of PlatformIO's."""

    def __init__(self, processor):
        self.processor, self.added = processor, {}

    def BoardConfig(self):
        return self

    def get(self, key, otherwise):
        return self.processor if key == "build.cpu" else otherwise

    def Append(self, **keys):
        self.added.update(keys)


def platformio(folder):
    manifest = json.loads(read(folder, "library.json"))
    require({"name", "version", "headers", "build"} <= set(manifest), "library.json: a key is missing")
    build = manifest["build"]
    require(os.path.exists(os.path.join(folder, build["includeDir"], manifest["headers"])), "library.json: headers")
    script = compile(read(folder, build["extraScript"]), build["extraScript"], "exec")
    processors = re.findall(r'"(cortex-[\w]+)":', read(folder, build["extraScript"]))
    require(processors, "link.py names no processor")
    here = os.getcwd()
    # PlatformIO runs the script in the library's folder.
    os.chdir(folder)
    for processor in processors + ["esp32"]:
        env = Environment(processor)
        try:
            exec(script, {"Import": lambda name: None, "env": env})
        except SystemExit as error:
            require(processor == "esp32" and processor in str(error), f"link.py refuses {processor}")
            continue
        require(processor != "esp32", "link.py has a library for a processor that there is none for")
        (path,), (name,) = env.added["LIBPATH"], env.added["LIBS"]
        require(os.path.exists(os.path.join(path, f"lib{name}.a")), f"link.py: no library for {processor}")
    os.chdir(here)


def zephyr(folder):
    lines = read(folder, "zephyr", "module.yml").splitlines()
    require(lines[0] == "name: tally" and lines[1] == "build:", "module.yml")
    for key, path in re.findall(r"^  (\w+): (\S+)$", "\n".join(lines), re.MULTILINE):
        require(key in ("cmake", "kconfig") and os.path.exists(os.path.join(folder, path)), f"module.yml: {key}")
    for line in read(folder, "zephyr", "Kconfig").splitlines():
        require(not line or line.startswith("\t  ") or re.match(r"config \w+$|\t(bool|depends on|help|default)\b", line),
                f"Kconfig: {line!r}")
    cmake = shutil.which("cmake")
    if cmake is None:
        print("CMakeLists.txt: not run, there is no cmake")
        return
    # Zephyr's two functions, writing down what they are given.
    stub = """cmake_minimum_required(VERSION 3.20)
project(stub NONE)
set(CONFIG_TALLY y)
foreach(symbol ${SYMBOLS})
  set(CONFIG_${symbol} y)
endforeach()
function(zephyr_include_directories path)
  if(NOT EXISTS ${path}/tally.h)
    message(FATAL_ERROR "no tally.h")
  endif()
endfunction()
function(zephyr_library_import name path)
  if(NOT EXISTS ${path})
    message(FATAL_ERROR "no library ${path}")
  endif()
  message(STATUS "${name} is ${path}")
endfunction()
add_subdirectory(%s module)
""" % os.path.join(os.path.abspath(folder), "zephyr")
    for library, symbols in CONFIGURATIONS.items():
        with tempfile.TemporaryDirectory() as place:
            with open(os.path.join(place, "CMakeLists.txt"), "w", encoding="utf-8") as file:
                file.write(stub)
            done = subprocess.run([cmake, "-S", place, "-B", os.path.join(place, "build"),
                                   f"-DSYMBOLS={';'.join(symbols)}"], capture_output=True, text=True)
            require(done.returncode == 0 and f"libtally-{library}.a" in done.stdout,
                    f"CMakeLists.txt with {symbols}: {done.stdout}{done.stderr}")


def main():
    folder = sys.argv[1]
    arduino(os.path.join(folder, "arduino"))
    platformio(os.path.join(folder, "platformio"))
    zephyr(os.path.join(folder, "zephyr"))
    print("manifests and scripts: as they should be")


if __name__ == "__main__":
    main()
