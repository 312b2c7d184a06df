#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/data/machines/*.xml: machines as hwloc records them (lstopo
x.xml), reduced to what a model asks for. check_machines reads them. The sizes
are of real kinds of machines; nothing is copied from one."""
import pathlib

GIB = 1 << 30


def mask(numbers):
    """A set of numbers as hwloc writes it."""
    bits = sum(1 << i for i in numbers)
    words = []
    while bits or not words:
        words.append("0x%08x" % (bits & 0xFFFFFFFF))
        bits >>= 32
    return ",".join(reversed(words))


class Machine:
    """Cores are lists of CPU numbers, nodes (number, bytes of memory)."""

    def __init__(self, packages, far=(), kinds=(), cores=True):
        self.packages, self.far, self.kinds = packages, far, kinds
        self.cores = cores
        self.next = 0

    def object(self, kind, number, cpus, nodes, inside=(), more=""):
        self.next += 1
        head = f'<object type="{kind}"'
        if number is not None:
            head += f' os_index="{number}"'
        for name, of in (("cpuset", cpus), ("nodeset", nodes)):
            head += f' {name}="{mask(of)}" complete_{name}="{mask(of)}"'
            if kind == "Machine":
                head += f' allowed_{name}="{mask(of)}"'
        head += f'{more} gp_index="{self.next}"'
        if not inside:
            return [head + "/>"]
        lines = [line for part in inside for line in part]
        return [head + ">"] + ["  " + line for line in lines] + ["</object>"]

    def node(self, number, size, cpus):
        return self.object("NUMANode", number, cpus, [number],
                           more=f' local_memory="{size}"')

    def package(self, number, clusters):
        far = [n for n, _ in self.far]
        inside, cpus, nodes = [], [], list(far)
        for node, cores in clusters:
            own = [cpu for core in cores for cpu in core]
            near = far + ([node[0]] if node else [])
            parts = [self.node(*node, own)] if node else []
            for i, core in enumerate(cores):
                units = [self.object("PU", cpu, [cpu], near) for cpu in core]
                parts += ([self.object("Core", core[0], core, near, units)]
                          if self.cores else units)
            inside += ([self.object("Group", None, own, near, parts)]
                       if len(clusters) > 1 else parts)
            cpus += own
            nodes += [node[0]] if node else []
        return cpus, nodes, self.object("Package", number, cpus, nodes, inside)

    def text(self):
        made = [self.package(*p) for p in enumerate(self.packages)]
        cpus = sorted(cpu for p in made for cpu in p[0])
        nodes = sorted({node for p in made for node in p[1]})
        far = [self.node(n, size, cpus) for n, size in self.far]
        root = self.object("Machine", 0, cpus, nodes, far + [p[2] for p in made])
        kinds = [f'<cpukind cpuset="{mask(of)}" forced_efficiency="{i}"/>'
                 for i, of in enumerate(self.kinds)]
        return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>',
                          '<!DOCTYPE topology SYSTEM "hwloc2.dtd">',
                          '<topology version="2.0">']
                         + ["  " + line for line in root + kinds]
                         + ["</topology>", ""])


def threads(first, cores, stride, ways=2):
    """Cores whose threads are numbered as Linux does: stride apart."""
    return [[i + w * stride for w in range(ways)]
            for i in range(first, first + cores)]


MACHINES = {
    "desktop": Machine([[((0, 32 * GIB), threads(0, 8, 8))]]),
    "two-sockets": Machine([[((p, 96 * GIB), threads(8 * p, 8, 16))]
                            for p in range(2)]),
    "hybrid": Machine([[((0, 32 * GIB), [[2 * i, 2 * i + 1] for i in range(6)]
                         + [[12 + i] for i in range(8)])]],
                      kinds=(range(12, 20), range(12))),
    "bare-node": Machine([[((0, 64 * GIB), threads(0, 4, 8))],
                          [((1, 0), threads(4, 4, 8))]]),
    "no-node": Machine([[((0, 64 * GIB), threads(0, 4, 8))],
                        [(None, threads(4, 4, 8))]]),
    "clusters": Machine([[((2 * p + c, 48 * GIB), threads(8 * p + 4 * c, 4, 16))
                          for c in range(2)] for p in range(2)]),
    "expander": Machine([[((p, 64 * GIB), threads(4 * p, 4, 8))]
                         for p in range(2)], far=((2, 256 * GIB),)),
    "far-first": Machine([[((p + 1, 64 * GIB), threads(4 * p, 4, 8))]
                          for p in range(2)], far=((0, 256 * GIB),)),
    "gaps": Machine([[((8 * p, 128 * GIB),
                       [list(range(16 * p + 4 * c, 16 * p + 4 * c + 4))
                        for c in range(4)])] for p in range(2)]),
    "no-cores": Machine([[((0, 8 * GIB), [[i] for i in range(4)])]],
                        cores=False),
}

if __name__ == "__main__":
    folder = pathlib.Path(__file__).parent / "data" / "machines"
    folder.mkdir(exist_ok=True)
    for name, machine in MACHINES.items():
        (folder / f"{name}.xml").write_text(machine.text())
