//! Package trees from the npm registry, installed in a mount, and their programs run there.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::{Shell, Tree};

use crate::place::suite;
use crate::scale::Scale;

const SERVER: &str = "const http = require('http');\nconst app = require('express')();\n\
    app.get('/:name', (request, response) => response.json({ hello: request.params.name }));\n\
    const server = app.listen(0, '127.0.0.1', () => {\n  const { port } = server.address();\n  \
    http.get(`http://127.0.0.1:${port}/mount`, response => {\n    response.on('data', data => process.stdout.write(data));\n    \
    response.on('end', () => server.close());\n  });\n});\n";
const SAYS: &str = "{\"hello\":\"mount\"}";

const TYPED: &str = "export function area(base: number, height: number): number { return base * height / 2; }\n";
/// Without `types`, the compiler would check those of every package that some tool has brought along.
const TSCONFIG: &str = "{\"compilerOptions\": {\"module\": \"es2022\", \"target\": \"es2022\", \"outDir\": \"built\", \"types\": []}, \"files\": [\"area.mts\"]}\n";
const BUNDLED: &str = "import { area } from './built/area.mjs';\nconsole.log(area(4, 3));\n";

#[test]
fn npm() -> Result<()> {
    if !present("npm") {
        ensure!(std::env::var_os("CI").is_none(), "npm is missing, and make deps installs it");
        println!("npm: skipped, since npm is missing");
        return Ok(());
    }
    suite("npm", |place, scale| {
        let dir = place.dir("express")?;
        let shell = place.shell(&dir);
        install(&shell, &["express@5.1.0"])?;
        fs::write(dir.join("server.js"), SERVER)?;
        ensure!(shell.run("node", &["server.js"])? == SAYS, "the server says something else");
        if scale == Scale::Full {
            let dir = place.dir("toolchain")?;
            toolchain(&place.shell(&dir), &dir)?;
        }

        let written = Tree::of(&place.path())?;
        place.remount()?;
        written.expect_same(&Tree::of(&place.path())?).context("in another mount")?;
        ensure!(shell.run("node", &["server.js"])? == SAYS, "in another mount the server says something else");
        println!("npm: {} files and directories", written.len());
        Ok(())
    })
}

/// A compiler, a linter and a bundler, some hundred packages, and a small program that goes through them.
fn toolchain(shell: &Shell<'_>, dir: &Path) -> Result<()> {
    install(shell, &["typescript@5.9.2", "webpack@5.101.3", "webpack-cli@6.0.1", "eslint@9.35.0"])?;
    fs::write(dir.join("area.mts"), TYPED)?;
    fs::write(dir.join("main.mjs"), BUNDLED)?;
    fs::write(dir.join("eslint.config.mjs"), "export default [{ rules: { 'no-undef': 'error' } }];\n")?;
    fs::write(dir.join("tsconfig.json"), TSCONFIG)?;
    shell.run("node_modules/.bin/tsc", &["--project", "."])?;
    shell.run("node_modules/.bin/eslint", &["built/area.mjs"])?;
    shell.run("node_modules/.bin/webpack", &["--mode", "production", "--entry", "./main.mjs", "--output-path", "bundle"])?;
    ensure!(shell.run("node", &["bundle/main.js"])? == "6\n", "the bundle says something else");
    Ok(())
}

fn install(shell: &Shell<'_>, packages: &[&str]) -> Result<()> {
    shell.run("npm", &["init", "--yes"])?;
    let options = ["install", "--no-audit", "--no-fund", "--no-update-notifier", "--save-exact"];
    shell.run("npm", &[&options[..], packages].concat()).map(drop)
}

fn present(program: &str) -> bool {
    Command::new(program).arg("--version").stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
}
