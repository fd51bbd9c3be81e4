//! Files as they are used: the examples, the pages that show them, and bad ones.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mqtt_lb_user::config::{Balance, ProxyProtocol, load, parse};
use proptest::prelude::*;

fn root() -> PathBuf {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_root.parent().expect("workspace").to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

#[test]
fn the_haproxy_recipe() {
    let config = load(&root().join("examples/haproxy-recipe.toml")).expect("valid");
    let pool = &config.pools[&config.listeners["mqtt"].pool];
    let stick = pool.stick.expect("a stick table");
    assert_eq!(
        (stick.size, stick.expire),
        (102_400, Duration::from_secs(1800))
    );
    assert_eq!(pool.proxy_protocol, ProxyProtocol::V2);
    assert_eq!(pool.balance, Balance::RoundRobin);
    let names: Vec<_> = pool.backends.iter().map(|b| b.name.as_str()).collect();
    assert_eq!(names, ["emqx1", "emqx2", "emqx3"]);
}

#[test]
fn the_nginx_plus_recipe() {
    let config = load(&root().join("examples/nginx-plus-recipe.toml")).expect("valid");
    let pool = &config.pools[&config.listeners["mqtt"].pool];
    assert_eq!(pool.balance, Balance::Hash);
    assert_eq!(pool.proxy_protocol, ProxyProtocol::V1);
    assert_eq!(pool.stick, None);
    assert_eq!(pool.backends.len(), 3);
}

#[test]
fn the_recipes_page_shows_the_examples() {
    let page = read("docs/recipes.md");
    let blocks: Vec<&str> = page
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split_once("```").expect("end of the block").0)
        .collect();
    let files = [
        "examples/haproxy-recipe.toml",
        "examples/nginx-plus-recipe.toml",
    ];
    for file in files {
        assert!(
            blocks.contains(&read(file).as_str()),
            "{file} is not on the page as it is"
        );
    }
    for block in blocks {
        parse("docs/recipes.md", block).unwrap_or_else(|e| panic!("{e}"));
    }
}

#[test]
fn failover_codes_are_those_of_the_file() {
    let example = read("examples/nginx-plus-recipe.toml");
    for (written, codes) in [("[]", &[][..]), ("[0x88, 137]", &[0x88, 0x89])] {
        let text = example.replace(
            "balance =",
            &format!("failover_codes = {written}\nbalance ="),
        );
        let config = parse("f", &text).expect("valid");
        let pool = &config.pools[&config.listeners["mqtt"].pool];
        assert_eq!(pool.failover_codes, codes);
    }
}

#[test]
fn files_that_cannot_be_read_say_so() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("x.toml");
    let name = path.display().to_string();
    let error = load(&path).expect_err("no file").to_string();
    assert_eq!(
        error,
        format!("{name}: cannot be read: No such file or directory (os error 2)")
    );

    std::fs::write(&path, b"workers = 2\n# caf\xe9\n").expect("written");
    let error = load(&path).expect_err("Latin-1").to_string();
    assert_eq!(
        error,
        format!("{name}:2:6: is not UTF-8: save the file as UTF-8")
    );

    let zero = load(Path::new("/dev/zero"))
        .expect_err("endless")
        .to_string();
    assert_eq!(
        zero,
        "/dev/zero: is larger than 16 MiB: this is not a configuration file"
    );
}

proptest! {
    /// Whatever stands in the file, the answer is a configuration or lines with a place.
    #[test]
    fn any_text_is_answered(text in "[\\[\\]a-z.=\"'{},\n #0-9é-]{0,200}") {
        if let Err(error) = parse("f", &text) {
            prop_assert!(error.lines().iter().all(|line| line.starts_with("f:")), "{error}");
        }
    }

    /// So it is when a valid file is damaged anywhere.
    #[test]
    fn any_damage_is_answered(at in 0.0..1.0_f64, cut in 0..40_usize, put in "[\\[\\]=\"'{},\n#é0-]{0,3}") {
        let text = read("examples/haproxy-recipe.toml");
        let start = (text.len() as f64 * at) as usize;
        let end = (start + cut).min(text.len());
        if let Err(error) = parse("f", &format!("{}{put}{}", &text[..start], &text[end..])) {
            prop_assert!(error.lines().iter().all(|line| line.starts_with("f:")), "{error}");
        }
    }
}
