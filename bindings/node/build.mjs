// Builds the native part for this machine and puts it beside the JavaScript: `node build.mjs [PROFILE]`.
import { execFileSync } from "node:child_process";
import { copyFileSync } from "node:fs";
import { join } from "node:path";

const folder = import.meta.dirname ?? new URL(".", import.meta.url).pathname;
const profile = process.argv[2] ?? "release";
const library = { darwin: "libjeton_node.dylib", win32: "jeton_node.dll" }[process.platform] ?? "libjeton_node.so";
const cargo = process.env.CARGO ?? "cargo";

execFileSync(cargo, ["build", "--locked", "--profile", profile], { cwd: folder, stdio: "inherit" });
const target = process.env.CARGO_TARGET_DIR ?? join(folder, "target");
copyFileSync(
  join(target, profile === "dev" ? "debug" : profile, library),
  join(folder, "lib", `jeton.${process.platform}-${process.arch}.node`),
);
