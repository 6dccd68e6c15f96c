//! Directories as tools leave them, made of empty files: which four are meant, or what is said.

use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn of(files: &[&str]) -> Self {
        let folder = Folder(tempfile::tempdir().unwrap());
        for file in files {
            let path = folder.0.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    /// What was found, from the folder on, or the message.
    fn find(&self, prefix: Option<&str>) -> std::result::Result<[String; 4], String> {
        let root = format!("{}/", self.0.path().display());
        let shown = |path: &PathBuf| path.display().to_string().replace(&root, "");
        match super::find(self.0.path(), prefix) {
            Ok(paths) => Ok(paths.each_ref().map(shown)),
            Err(error) => Err(error.to_string().replace(&root[..root.len() - 1], "DIR")),
        }
    }
}

/// The four names changed.
fn renamed(change: impl Fn(&str) -> String) -> Vec<String> {
    NAMES.map(change).to_vec()
}

#[test]
fn names_of_other_tools_are_found() {
    let forms: [&dyn Fn(&str) -> String; 10] = [
        &|name| name.to_owned(),
        &|name| format!("{name}.gz"),
        &|name| name.replace("-idx", ".idx"),
        &|name| name.replace("-idx", ".idx") + ".gz",
        &|name| format!("{name}/{name}"),
        &|name| format!("{0}/{0}", name.replace("-idx", ".idx")),
        &|name| format!("MNIST/raw/{name}"),
        &|name| format!("raw/{name}.gz"),
        &|name| format!("emnist-letters-{}.gz", name.replace("t10k", "test")),
        &|name| format!("qmnist-{}", name.replace("t10k", "test").replace("labels-idx1-ubyte", "labels-idx2-int")),
    ];
    for form in forms {
        let files = renamed(form);
        let folder = Folder::of(&files.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(folder.find(None).unwrap().to_vec(), files);
    }
}

#[test]
fn a_folder_does_not_hide_a_file_and_plain_files_come_first() {
    let both: Vec<_> = NAMES.iter().flat_map(|name| [format!("{name}/other"), format!("{name}.gz")]).collect();
    let folder = Folder::of(&both.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(folder.find(None).unwrap().to_vec(), renamed(|name| format!("{name}.gz")));
    // Kaggle's archive: folders with the files in them, and the files again beside them under dotted names.
    let kaggle: Vec<_> =
        NAMES.iter().flat_map(|name| [format!("{name}/{name}"), name.replace("-idx", ".idx")]).collect();
    let folder = Folder::of(&kaggle.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(folder.find(None).unwrap().to_vec(), renamed(|name| name.replace("-idx", ".idx")));
    let zipped: Vec<_> = NAMES.iter().flat_map(|name| [format!("{name}.gz"), (*name).to_owned()]).collect();
    let folder = Folder::of(&zipped.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(folder.find(None).unwrap(), NAMES);
}

#[test]
fn of_several_sets_the_one_that_is_meant_is_taken() {
    let names: Vec<_> = ["emnist-letters", "emnist-digits"]
        .iter()
        .flat_map(|prefix| renamed(|name| format!("{prefix}-{}.gz", name.replace("t10k", "test"))))
        .collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let folder = Folder::of(&names);
    let expected = "DIR/: expected the files of one set, found those of several: emnist-digits, emnist-letters; \
                    Loader::prefix says which is meant";
    assert_eq!(folder.find(None).unwrap_err(), expected);
    assert!(folder.find(Some("emnist-letters")).unwrap().iter().all(|path| path.starts_with("emnist-letters-t")));
    let message = folder.find(Some("emnist-mnist")).unwrap_err();
    let missing = "emnist-mnist-train-images-idx3-ubyte";
    assert!(
        message.starts_with(&format!("cannot find {missing}.gz: DIR has neither it nor {missing}; it has ")),
        "{message}"
    );
    let with_own = Folder::of(&[&names[..], &NAMES].concat());
    assert_eq!(with_own.find(None).unwrap(), NAMES);
}

#[test]
fn what_is_missing_and_what_is_there_is_said() {
    let folder = Folder::of(&["train-images.idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte.gz"]);
    let missing = "t10k-labels-idx1-ubyte";
    assert_eq!(folder.find(None).unwrap_err(), format!("cannot find {missing}.gz: DIR has neither it nor {missing}"));
    let first = NAMES[0];
    let nothing = format!("cannot find {first}.gz: DIR has neither it nor {first}; ");
    assert_eq!(Folder::of(&[]).find(None).unwrap_err(), format!("{nothing}it is empty"));
    let others = Folder::of(&["x.csv", "notes.txt"]);
    assert_eq!(others.find(None).unwrap_err(), format!("{nothing}it has notes.txt, x.csv"));
    let many: Vec<_> = (0..20).map(|number| format!("{number:02}")).collect();
    let many = Folder::of(&many.iter().map(String::as_str).collect::<Vec<_>>());
    let listed = "it has 00, 01, 02, 03, 04, 05, 06, 07 and 12 more";
    assert_eq!(many.find(None).unwrap_err(), format!("{nothing}{listed}"));
    let path = others.0.path().join("x.csv");
    let message = super::find(&path, None).unwrap_err().to_string();
    assert_eq!(message, format!("cannot find {}: it is no directory", path.display()));
    let path = others.0.path().join("nowhere");
    let message = super::find(&path, None).unwrap_err().to_string();
    assert_eq!(message, format!("cannot find {}: there is no such directory", path.display()));
}

#[test]
fn other_names_mean_nothing() {
    for name in
        ["train-images", "train-images-idx3", "xtrain-images-idx3-ubyte", "train-images-idx4-ubyte", "train.gz", ""]
    {
        assert_eq!(meaning(name), None, "{name}");
    }
    assert_eq!(meaning("a-b-test-labels.idx1-ubyte.gz"), Some(("a-b".to_owned(), 3)));
}
