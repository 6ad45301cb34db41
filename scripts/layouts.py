#!/usr/bin/env python3
"""layouts.py: writes tests/test_layout.c, the layouts of all public structs on LP64 as static assertions.

    scripts/layouts.py > tests/test_layout.c

Run it after a struct has grown, and read the difference: docs/abi.md says what may change. Needs clang.
"""
import pathlib
import re
import subprocess

root = pathlib.Path(__file__).resolve().parent.parent
headers = ["hmtnet", "data", "backend"]
structs = []
for header in headers:
    text = (root / f"include/hmtnet/{header}.h").read_text()
    structs += [name for name in re.findall(r"^\} (hmt_\w+);", text, re.M) if f"typedef struct {name} {{" in text]

source = "".join(f"#include <hmtnet/{header}.h>\n" for header in headers)
source += "".join(f"{name} *use_{name}(void);\nint size_{name}[sizeof({name})];\n" for name in structs)
dump = subprocess.run(
    ["clang", "-std=c11", f"-I{root}/include", "-fsyntax-only", "-Xclang", "-fdump-record-layouts", "-x", "c", "-"],
    input=source, capture_output=True, text=True, check=True).stdout

print("""/*
 * The layouts of all public structs on LP64, as scripts/layouts.py wrote them: compiled as C here
 * and as C++ by abi_test.sh. What fails to compile has changed for hosts that are built already;
 * docs/abi.md says what may.
 */
#include <stddef.h>
""")
for header in sorted(headers):
    print(f"#include <hmtnet/{header}.h>")
print("""
#ifdef __cplusplus
#define CHECK(condition, what) static_assert(condition, what)
#else
#define CHECK(condition, what) _Static_assert(condition, what)
#endif
#define SIZE(type, bytes) CHECK(sizeof(type) == (bytes), "sizeof " #type)
#define FIELD(type, field, offset) CHECK(offsetof(type, field) == (offset), #type "." #field)

#ifdef __LP64__""")
layouts = {}
for block in dump.split("*** Dumping AST Record Layout"):
    head = re.search(r"^\s*0 \| (?:struct )?(hmt_\w+)$", block, re.M)
    if head:
        layouts[head.group(1)] = block
for name in structs:
    size = re.search(r"sizeof=(\d+)", layouts[name]).group(1)
    print(f"\nSIZE({name}, {size});")
    for offset, field in re.findall(r"^\s*(\d+) \|   \S.*?(\w+)$", layouts[name], re.M):
        print(f"FIELD({name}, {field}, {offset});")
print("""
#endif

int main(void)
{
    return 0;
}""")
