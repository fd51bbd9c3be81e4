//! A pool's backends by name and by number.

use crate::affinity::BackendId;

/// Names and numbers of a pool's backends.
#[derive(Debug, Clone, Default)]
pub struct Names(Vec<(BackendId, String)>);

impl Names {
    /// The number of a name.
    #[must_use]
    pub fn id(&self, name: &str) -> Option<BackendId> {
        self.0.iter().find(|(_, n)| n == name).map(|(id, _)| *id)
    }

    /// The name of a number.
    #[must_use]
    pub fn name(&self, id: BackendId) -> Option<&str> {
        let found = self.0.iter().find(|(i, _)| *i == id);
        found.map(|(_, name)| name.as_str())
    }
}

impl FromIterator<(BackendId, String)> for Names {
    fn from_iter<T: IntoIterator<Item = (BackendId, String)>>(names: T) -> Self {
        Self(names.into_iter().collect())
    }
}
