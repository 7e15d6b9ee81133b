"""A library that writes FILE when it is loaded: library.py FOLDER FILE. Prints its path; nothing without a compiler."""
import subprocess
import sys

folder, file = sys.argv[1:3]
source = folder + "/library.c"
with open(source, "w") as f:
    f.write('#include <stdio.h>\n'
            'unsigned la_version(unsigned v) { return v; }\n'
            '__attribute__((constructor)) static void act(void)\n'
            '{\n    FILE *f = fopen("%s", "w");\n\n    if (f)\n        fclose(f);\n}\n' % file)
subprocess.run(["cc", "-shared", "-fPIC", "-o", folder + "/library.so", source], check=True)
print(folder + "/library.so")
