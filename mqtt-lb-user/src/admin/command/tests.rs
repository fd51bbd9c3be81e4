use std::time::Duration;

use super::*;
use crate::backend::AdminState;

fn one(line: &str) -> Result<Command, CommandError> {
    let mut commands = parse(line.as_bytes())?;
    assert_eq!(commands.len(), 1, "{line}");
    Ok(commands.remove(0))
}

#[test]
fn commands() {
    let table = |key: Option<&[u8]>| {
        Command::Table(TableCommand::Show {
            pool: "emqx".into(),
            key: key.map(<[u8]>::to_vec),
        })
    };
    let clear = |which| {
        Command::Table(TableCommand::Clear {
            pool: "emqx".into(),
            which,
        })
    };
    let state = |state| {
        Command::Backend(BackendCommand::SetState {
            pool: "emqx".into(),
            backend: "a/b".into(),
            state,
            deadline: None,
        })
    };
    for (line, expected) in [
        ("help", Command::Help),
        ("prompt", Command::Prompt),
        ("quit", Command::Quit),
        ("show info", Command::ShowInfo),
        (
            "show backends",
            Command::Backend(BackendCommand::Show { pool: None }),
        ),
        (
            "show backends emqx",
            Command::Backend(BackendCommand::Show {
                pool: Some("emqx".into()),
            }),
        ),
        ("set backend emqx/a/b state ready", state(AdminState::Ready)),
        ("set backend emqx/a/b state drain", state(AdminState::Drain)),
        ("set backend emqx/a/b state maint", state(AdminState::Maint)),
        (
            "set backend emqx/b state drain deadline 90s",
            Command::Backend(BackendCommand::SetState {
                pool: "emqx".into(),
                backend: "b".into(),
                state: AdminState::Drain,
                deadline: Some(Duration::from_secs(90)),
            }),
        ),
        (
            "set backend emqx/b weight 256",
            Command::Backend(BackendCommand::SetWeight {
                pool: "emqx".into(),
                backend: "b".into(),
                weight: 256,
            }),
        ),
        (
            "shutdown sessions server emqx/b",
            Command::Backend(BackendCommand::Shutdown {
                pool: "emqx".into(),
                backend: "b".into(),
            }),
        ),
        ("show flows", Command::ShowFlows { path: None }),
        (
            "show flows path splice",
            Command::ShowFlows {
                path: Some(PathKind::Splice),
            },
        ),
        (
            r#"explain c0 listener=mqtt level=5 "username=a b" property=t=x=y source=::1"#,
            Command::Explain(Box::new(ExplainCommand {
                client_id: b"c0".to_vec(),
                listener: Some("mqtt".into()),
                level: Some(5),
                username: Some(b"a b".to_vec()),
                properties: vec![(b"t".to_vec(), b"x=y".to_vec())],
                source: Some(std::net::Ipv6Addr::LOCALHOST.into()),
                ..ExplainCommand::default()
            })),
        ),
        ("show ids", Command::Ids(IdsCommand::Show { count: 10 })),
        ("show ids 25", Command::Ids(IdsCommand::Show { count: 25 })),
        ("clear ids", Command::Ids(IdsCommand::Clear)),
        ("show table", Command::Table(TableCommand::List)),
        ("show table emqx", table(None)),
        ("show table emqx key c0", table(Some(b"c0"))),
        (
            r#"show table emqx key "a \"b\"\xff""#,
            table(Some(b"a \"b\"\xff")),
        ),
        (r#"show table emqx key """#, table(Some(b""))),
        ("clear table emqx", clear(Entries::All)),
        (
            "clear table emqx key c0",
            clear(Entries::Key(b"c0".to_vec())),
        ),
        (
            "clear table emqx backend emqx1",
            clear(Entries::Backend("emqx1".into())),
        ),
        (
            "set table emqx key backend backend emqx1",
            Command::Table(TableCommand::Set {
                pool: "emqx".into(),
                key: b"backend".to_vec(),
                backend: "emqx1".into(),
            }),
        ),
    ] {
        assert_eq!(one(line), Ok(expected), "{line}");
    }
}

#[test]
fn wrong_words_get_the_usage() {
    for (line, usage) in [
        ("show backends a b", backend::SHOW),
        ("show backends \\xff", backend::SHOW),
        ("set backend", backend::SET_STATE),
        ("set backend emqx1 state ready", backend::SET_STATE),
        ("set backend emqx/emqx1 state up", backend::SET_STATE),
        ("explain", explain::NAMES),
        ("explain c0 mqtt", explain::NAMES),
        ("explain c0 level=x", explain::NAMES),
        ("explain c0 colour=red", explain::NAMES),
        ("explain c0 property=t", explain::NAMES),
        ("show ids many", ids::SHOW),
        ("show ids 1 2", ids::SHOW),
        ("clear ids c0", ids::CLEAR),
        ("set backend emqx/emqx1 weigth 2", backend::SET_STATE),
        ("set backend emqx/emqx1 weight", backend::SET_WEIGHT),
        ("set backend emqx/emqx1 weight 257", backend::SET_WEIGHT),
        ("set backend emqx/emqx1 weight -1", backend::SET_WEIGHT),
        ("set backend emqx1 weight 1", backend::SET_WEIGHT),
        ("show table emqx c0", table::SHOW),
        ("show table emqx key", table::SHOW),
        ("set table emqx key c0", table::SET),
        ("set table emqx key c0 backend", table::SET),
        ("clear table", table::CLEAR),
        ("clear table emqx key", table::CLEAR),
        ("clear table emqx c0", table::CLEAR),
    ] {
        assert_eq!(one(line), Err(CommandError::Usage(usage)), "{line}");
    }
}

#[test]
fn unknown_commands_are_named_and_escaped() {
    for (line, shown) in [
        (
            "shwo table emqx",
            "unknown command \"shwo table\": try help",
        ),
        ("show", "unknown command \"show\": try help"),
        ("help me", "unknown command \"help me\": try help"),
        ("\\x1b[2J", "unknown command \"\\x1b[2J\": try help"),
    ] {
        assert_eq!(one(line).expect_err(line).to_string(), shown);
    }
    let long = one(&"x".repeat(1000)).expect_err("unknown").to_string();
    assert!(long.len() < 80, "{long}");
}

#[test]
fn a_line_is_read_whole_or_not_at_all() {
    let both = parse(b"show info; show table").expect("valid");
    assert_eq!(
        both,
        [Command::ShowInfo, Command::Table(TableCommand::List)]
    );
    assert!(parse(b"clear table emqx; shwo info").is_err());
    assert_eq!(parse(b""), Ok(Vec::new()));
}

#[test]
fn help_names_every_command() {
    for usage in [
        backend::SHOW,
        backend::SET_STATE,
        table::SHOW,
        table::SET,
        table::CLEAR,
    ] {
        assert!(help().any(|(command, _)| command == usage), "{usage}");
    }
}

#[test]
fn every_command_is_documented() {
    let documented = include_str!("../../../../docs/observability.md");
    for (command, _) in help() {
        let cell = format!("| `{}` |", command.replace('|', "\\|"));
        assert!(documented.contains(&cell), "{cell}");
    }
}
