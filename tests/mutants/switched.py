"""One source text that holds all of its mutants, each behind a switch.

cargo-mutants builds the program once for each mutant. Here a build has all of them, and `on(NUMBER)` says while the program
runs whether it is this one. What cannot be written so, such as a mutant of a constant, does not compile: `build.py` finds
it by its marks and leaves it out.
"""

import re

import tree_sitter
import tree_sitter_rust

PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_rust.language()))
# negated by the other one if both operands are: no operand is written twice
DUALS = {("&&", "||"), ("||", "&&")}
OPPOSITES = {("==", "!="), ("!=", "==")}
LETS = {"let_condition", "let_chain"}
MARK = re.compile(r"\bon\((\d+)\)|/\*m(\d+)\*/")


class Unswitchable(Exception):
    """A mutant that has no place in the tree, or none where a switch may stand."""


class Text:
    """A source text, and its mutants by the node that changes."""

    def __init__(self, source, mutants, on):
        self.bytes, self.on = source.encode(), on
        self.root = PARSER.parse(self.bytes).root_node
        self.lines = source.split("\n")
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line.encode()) + 1)
        self.at = {}
        self.left_out = []
        for mutant in mutants:
            try:
                node = self.place(mutant)
            except Unswitchable:
                self.left_out.append(mutant)
                continue
            self.at.setdefault((node.id), []).append(mutant)
        self.touched = sorted(self.offset(mutant.start) for mutant in mutants)

    def offset(self, position):
        line, column = position
        return self.starts[line - 1] + len(self.lines[line - 1][: column - 1].encode())

    def place(self, mutant):
        """The node that the switch of a mutant goes around."""
        start, end = self.offset(mutant.start), self.offset(mutant.end)
        if mutant.genre == "FnValue" and "impl " in mutant.returns:
            # both ways out would need one type
            raise Unswitchable
        node = self.root.descendant_for_byte_range(start, max(start, end - 1))
        return getattr(self, f"place_of_{mutant.genre.lower()}")(node, start, end)

    def place_of_fnvalue(self, node, start, end):
        while node is not None:
            parent = node.parent
            if node.type == "block" and parent.type == "function_item" and node.start_byte < start:
                return node
            node = parent
        raise Unswitchable

    def place_of_binaryoperator(self, node, start, end):
        found = node.parent
        if node.start_byte != start or found.type not in ("binary_expression", "compound_assignment_expr"):
            raise Unswitchable
        operands = (found.child_by_field_name("left"), found.child_by_field_name("right"))
        if any(holds_let(each) for each in operands):
            raise Unswitchable
        return found

    def place_of_unaryoperator(self, node, start, end):
        if node.parent.type != "unary_expression" or node.parent.start_byte != start:
            raise Unswitchable
        return node.parent

    def place_of_matcharmguard(self, node, start, end):
        while node is not None and node.type != "match_pattern":
            node = node.parent
        condition = node and node.child_by_field_name("condition")
        if condition is None or condition.start_byte != start or holds_let(condition):
            raise Unswitchable
        return condition

    def place_of_matcharm(self, node, start, end):
        while node is not None and not (node.type == "match_arm" and node.start_byte == start):
            node = node.parent
        pattern = node and node.child_by_field_name("pattern")
        if pattern is None or not any(self.takes_all(each) for each in node.parent.children if each != node):
            # an arm with a guard is none to the compiler, which wants all cases
            raise Unswitchable
        condition = pattern.child_by_field_name("condition")
        if condition is not None and holds_let(condition):
            raise Unswitchable
        return pattern

    def takes_all(self, arm):
        pattern = arm.child_by_field_name("pattern")
        return pattern is not None and self.raw(pattern).isidentifier() and self.raw(pattern) != "None"

    def place_of_structfield(self, node, start, end):
        while node is not None and node.type != "struct_expression":
            node = node.parent
        if node is None:
            raise Unswitchable
        return node

    # rendering

    def raw(self, node):
        return self.bytes[node.start_byte : node.end_byte].decode()

    def is_touched(self, node):
        return any(node.start_byte <= at < node.end_byte for at in self.touched)

    def inner(self, node, without=None):
        """The text of a node, its children rendered."""
        parts, at = [], node.start_byte
        for child in node.children:
            parts.append(self.bytes[at : child.start_byte].decode())
            if child != without:
                parts.append(self.render(child))
            at = child.end_byte
        parts.append(self.bytes[at : node.end_byte].decode())
        return "".join(parts)

    def render(self, node):
        if not self.is_touched(node):
            return self.raw(node)
        mutants = self.at.get(node.id, [])
        if not mutants:
            return self.inner(node)
        return getattr(self, f"render_{mutants[0].genre.lower()}")(node, mutants)

    def render_fnvalue(self, node, mutants):
        first, rest = node.children[0], self.inner(node)
        assert first.type == "{"
        returns = [f"if {self.on}({each.number}) {{ return {each.replacement}; }}" for each in mutants]
        return "{ " + " ".join(returns) + rest[1:]

    def render_binaryoperator(self, node, mutants):
        left, right = (self.render(node.child_by_field_name(side)) for side in ("left", "right"))
        operator = self.raw(node.child_by_field_name("operator"))
        [first, *more] = mutants
        switch = f"{self.on}({first.number})"
        if not more and (operator, first.replacement) in OPPOSITES:
            return f"(({left} {operator} {right}) != {switch})"
        if not more and (operator, first.replacement) in DUALS:
            return f"(((({left}) != {switch}) {operator} (({right}) != {switch})) != {switch})"
        branches = [
            f"if {self.on}({each.number}) {{ {left} /*m{each.number}*/ {each.replacement} {right} /*m{each.number}*/ }} else "
            for each in mutants
        ]
        return f"({''.join(branches)}{{ {left} {operator} {right} }})"

    def render_unaryoperator(self, node, mutants):
        [mutant] = mutants
        operand = self.render(node.children[1])
        return f"(if {self.on}({mutant.number}) {{ {operand} }} else {{ {self.raw(node.children[0])}{operand} }})"

    def render_matcharmguard(self, node, mutants):
        # a guard that is an operation itself has the mutants of both
        guards = [each for each in mutants if each.genre == "MatchArmGuard"]
        others = [each for each in mutants if each.genre != "MatchArmGuard"]
        text = getattr(self, f"render_{others[0].genre.lower()}")(node, others) if others else self.inner(node)
        text = f"({text})"
        for each in guards:
            switch = f"{self.on}({each.number})"
            text = f"({switch} || {text})" if each.replacement == "true" else f"(!{switch} && {text})"
        return text

    def render_matcharm(self, node, mutants):
        [mutant] = mutants
        condition = node.child_by_field_name("condition")
        switch = f"!{self.on}({mutant.number})"
        if condition is None:
            return f"{self.inner(node)} if {switch}"
        pattern = self.bytes[node.start_byte : condition.start_byte].decode()
        return f"{pattern}{switch} && ({self.render(condition)})"

    def render_structfield(self, node, mutants):
        text = self.inner(node)
        [fields] = [child for child in node.children if child.type == "field_initializer_list"]
        branches = []
        for mutant in mutants:
            start = self.offset(mutant.start)
            [field] = [child for child in fields.children if child.start_byte == start]
            kept = [child for child in fields.children if child.type not in ("{", "}", ",") and child != field]
            others = ", ".join(self.render(child) for child in kept)
            name = self.raw(node.child_by_field_name("name"))
            branches.append(f"if {self.on}({mutant.number}) {{ {name} {{ {others} }} }} else ")
        return f"({''.join(branches)}{{ {text} }})"


def holds_let(node):
    # a closure's or a block's own conditions stay within it
    if node.type in LETS:
        return True
    if node.type in ("block", "closure_expression"):
        return False
    return any(holds_let(child) for child in node.children)


def order(mutants):
    """Guards before what is within them, as `render` looks at the first."""
    return sorted(mutants, key=lambda each: (each.genre != "MatchArmGuard", each.number))


def switched(source, mutants, on):
    """The text with these mutants behind switches, and those that have no place."""
    text = Text(source, order(mutants), on)
    return text.render(text.root), text.left_out


def marked(text, start, end):
    """Which mutant a fault between two offsets is about: one within, or else the nearest before."""
    within = [mark for mark in MARK.finditer(text, start, end)]
    if not within:
        before = [mark for mark in MARK.finditer(text, max(0, start - 20_000), start)]
        within = before[-1:]
    return {int(mark.group(1) or mark.group(2)) for mark in within}
