"""Builds archive_tool.c against a build folder's libcornu.a, for the comparisons beside it."""
import os
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def build(build_dir):
    tool = os.path.join(tempfile.mkdtemp(), "archive_tool")
    flags = subprocess.check_output(["pkg-config", "--libs", "libzip", "zlib", "libcjson", "hdf5"], text=True).split()
    subprocess.check_call(
        ["cc", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-I" + ROOT + "/include", "-I" + ROOT + "/src", HERE + "/archive_tool.c",
         os.path.join(build_dir, "libcornu.a"), "-o", tool] + flags + ["-lpthread", "-lm", "-ldl"])
    return tool


def run(tool, *args):
    """Exit status and message."""
    done = subprocess.run([tool, *args], stderr=subprocess.PIPE, text=True)
    return done.returncode, done.stderr.strip()
