//! Which pool a client of a listener belongs to.

use super::Fields;
use crate::config::{Listener, Route};

/// The pool of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Routed<'a> {
    /// Its name.
    pub pool: &'a str,
    /// The place among the listener's routes, from 0, of the one that matched; `None`
    /// when none did and the pool is the listener's own.
    pub route: Option<usize>,
}

/// The pool of the first route that matches, else the listener's own.
#[must_use]
pub fn route<'a>(listener: &'a Listener, client: &Fields<'_>) -> Routed<'a> {
    let found = listener.routes.iter().position(|r| matches(r, client));
    Routed {
        pool: found.map_or(&listener.pool, |at| &listener.routes[at].pool),
        route: found,
    }
}

fn matches(route: &Route, client: &Fields<'_>) -> bool {
    let level = route.level.as_ref();
    level.is_none_or(|levels| levels.contains(&client.level))
        && (route.client_id.as_ref()).is_none_or(|id| id.regex().is_match(client.client_id))
        && (route.username.as_ref())
            .is_none_or(|wanted| client.username.is_some_and(|u| wanted.regex().is_match(u)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Pattern;

    fn to(pool: &str) -> Route {
        Route {
            pool: pool.to_owned(),
            level: None,
            client_id: None,
            username: None,
        }
    }

    fn listener(routes: Vec<Route>) -> Listener {
        Listener {
            bind: "192.0.2.1:1883".parse().unwrap(),
            pool: "own".to_owned(),
            routes,
            backlog: 1,
        }
    }

    fn pattern(text: &str) -> Option<Pattern> {
        Some(Pattern::new(text).unwrap())
    }

    fn client(
        level: u8,
        client_id: &'static str,
        username: Option<&'static str>,
    ) -> Fields<'static> {
        Fields {
            level,
            username: username.map(str::as_bytes),
            ..Fields::new(client_id.as_bytes(), [192, 0, 2, 7].into())
        }
    }

    #[test]
    fn the_first_route_that_matches_wins() {
        let level = Route {
            level: Some(vec![3, 4]),
            ..to("old")
        };
        let id = Route {
            client_id: pattern("^car-"),
            ..to("cars")
        };
        let listener = listener(vec![level, id]);
        let cases = [
            (client(3, "car-1", None), "old", Some(0)),
            (client(5, "car-1", None), "cars", Some(1)),
            (client(5, "my-car-1", None), "own", None),
            (client(6, "", None), "own", None),
        ];
        for (client, pool, place) in cases {
            let routed = route(&listener, &client);
            assert_eq!((routed.pool, routed.route), (pool, place), "{client:?}");
        }
    }

    #[test]
    fn all_conditions_of_a_route_hold() {
        let listener = listener(vec![Route {
            level: Some(vec![5]),
            client_id: pattern("^car-"),
            username: pattern("@fleet$"),
            ..to("fleet")
        }]);
        let cases = [
            (client(5, "car-1", Some("ann@fleet")), "fleet"),
            (client(4, "car-1", Some("ann@fleet")), "own"),
            (client(5, "bus-1", Some("ann@fleet")), "own"),
            (client(5, "car-1", Some("ann@home")), "own"),
            (client(5, "car-1", None), "own"),
        ];
        for (client, pool) in cases {
            assert_eq!(route(&listener, &client).pool, pool, "{client:?}");
        }
    }

    #[test]
    fn an_empty_field_matches_where_an_absent_one_does_not() {
        let id = Route {
            client_id: pattern("^$"),
            ..to("nameless")
        };
        let user = Route {
            username: pattern("^$"),
            ..to("blank")
        };
        let listener = listener(vec![id, user]);
        assert_eq!(route(&listener, &client(4, "", None)).pool, "nameless");
        assert_eq!(route(&listener, &client(4, "c", Some(""))).pool, "blank");
        assert_eq!(route(&listener, &client(4, "c", None)).pool, "own");
    }
}
