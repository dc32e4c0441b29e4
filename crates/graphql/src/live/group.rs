//! Subscribers that see the same: what is rendered for one of them is rendered for all.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::OnceCell;
use uuid::Uuid;

use super::{Payload, subscription::Rendered};

/// How many events a group remembers.
const REMEMBERED: usize = 256;

/// What tells one group from another: who sees, and what is asked, but for where it begins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) organization: Uuid,
    pub(super) query: String,
    pub(super) operation_name: Option<String>,
    pub(super) variables: String,
}

/// The groups of a process.
#[derive(Clone, Default)]
pub(super) struct Groups(Arc<Mutex<HashMap<Key, Weak<Group>>>>);

/// Subscribers with the same key.
#[derive(Default)]
pub(super) struct Group {
    rendered: Mutex<BTreeMap<i64, Arc<OnceCell<Payload>>>>,
}

impl Groups {
    pub(super) fn join(&self, key: Key) -> Arc<Group> {
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = groups.get(&key).and_then(Weak::upgrade) {
            return group;
        }
        groups.retain(|_, group| group.strong_count() > 0);
        let group = Arc::new(Group::default());
        groups.insert(key, Arc::downgrade(&group));
        group
    }
}

impl Group {
    /// What the event at a position looks like; whoever asks first renders it. What is no more than
    /// an error is not kept.
    pub(super) async fn payload(
        &self,
        position: i64,
        render: impl AsyncFnOnce() -> Rendered,
    ) -> Option<Payload> {
        let cell = {
            let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
            let cell = Arc::clone(rendered.entry(position).or_default());
            if rendered.len() > REMEMBERED {
                rendered.pop_first();
            }
            cell
        };
        let rendered = cell
            .get_or_try_init(async || match render().await {
                Rendered::Whole(payload) => Ok(payload),
                other => Err(other),
            })
            .await;
        match rendered {
            Ok(payload) => Some(payload.clone()),
            Err(other) => other.payload(),
        }
    }
}
