//! Every input of the corpus, and every one that once failed, holds the properties.

use std::fs;
use std::path::Path;

use moat_fuzz::TARGETS;

#[test]
fn the_corpus_holds() {
    for (name, check) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let mut files: Vec<_> = fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|entry| entry.expect("a readable folder").path())
            .collect();
        files.sort();
        assert!(!files.is_empty(), "{name} has no corpus");
        for file in files {
            // The last line of a failed test says which input it was.
            println!("{}", file.display());
            check(&fs::read(&file).expect("a readable file"));
        }
    }
}
