//! What a C compiler makes of the header: where every field of every struct lies.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

const HEADER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/include/mechos_link.h");

/// Offset and size of every field, by `struct.field` (without `mechos_`), and which were asked for.
pub struct Fields {
    places: BTreeMap<String, (usize, usize)>,
    asked: RefCell<BTreeSet<String>>,
}

impl Fields {
    /// Offset and size, in bytes.
    pub fn place(&self, name: &str) -> (usize, usize) {
        self.asked.borrow_mut().insert(name.to_owned());
        *self.places.get(name).unwrap_or_else(|| panic!("the header has no {name}"))
    }

    /// Every field but room was compared with something.
    pub fn all_were_asked_for(&self) {
        let asked = self.asked.borrow();
        let forgotten: Vec<_> = self.places.keys().filter(|name| !asked.contains(*name)).collect();
        assert!(forgotten.is_empty(), "nothing checks {forgotten:?}");
    }
}

fn lines() -> Vec<String> {
    let text = std::fs::read_to_string(HEADER).unwrap();
    text.lines().map(|line| line.split("/*").next().unwrap().trim().to_owned()).collect()
}

/// The names that the header gives a number to, by `#define` or in an enum.
pub fn constants() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in lines() {
        let mut words = line.strip_prefix("#define ").unwrap_or(&line).split(' ');
        // The include guard has no number.
        if let (Some(name), Some(_)) = (words.next(), words.next())
            && name.starts_with("MECHOS_")
        {
            found.insert(name.to_owned());
        }
    }
    found
}

/// The fields that stand in the header, as struct and field.
fn written_fields() -> Vec<(String, String)> {
    let (mut inside, mut found) = (None, Vec::new());
    for line in lines() {
        if let Some(name) = line.strip_prefix("struct mechos_").and_then(|s| s.strip_suffix(" {")) {
            inside = Some(name.to_owned());
        } else if line == "};" {
            inside = None;
        } else if let (Some(name), Some(field)) = (&inside, line.strip_suffix(';')) {
            let field = field.split('[').next().unwrap().split(' ').next_back().unwrap();
            if !field.starts_with("room") {
                found.push((name.clone(), field.to_owned()));
            }
        }
    }
    found
}

/// Compiles the header with an assertion for each of these numbers, and asks where its fields lie.
pub fn compile(directory: &Path, numbers: &BTreeMap<String, u64>) -> Fields {
    let mut source = String::from("#include \"mechos_link.h\"\n#include <stdio.h>\n");
    for (name, value) in numbers {
        source += &format!("static_assert({name} == UINT64_C({value}), \"it is {value:#x}\");\n");
    }
    source += "int main(void) {\n";
    for (name, field) in written_fields() {
        source += &format!(
            "printf(\"{name}.{field} %zu %zu\\n\", offsetof(struct mechos_{name}, {field}), \
             sizeof(((struct mechos_{name} *)0)->{field}));\n"
        );
    }
    source += "}\n";
    let (file, program) = (directory.join("print.c"), directory.join("print"));
    std::fs::write(&file, source).unwrap();
    let done = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"])
        .arg(Path::new(HEADER).parent().unwrap())
        .arg("-o")
        .args([&program, &file])
        .output()
        .unwrap_or_else(|error| panic!("this test needs a C compiler, `cc`: {error}"));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let printed = String::from_utf8(Command::new(program).output().unwrap().stdout).unwrap();
    let place = |line: &str| {
        let mut words = line.split(' ');
        let name = words.next().unwrap().to_owned();
        let mut number = || words.next().unwrap().parse().unwrap();
        (name, (number(), number()))
    };
    Fields { places: printed.lines().map(place).collect(), asked: RefCell::default() }
}
