//! What was found out about organizations lately.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use uuid::Uuid;

/// The maximum number of organizations that are remembered.
const MAX_ORGANIZATIONS: usize = 10_000;

/// The organizations for which something was true within the last second. It only saves a question: what
/// depends on it has to be right either way.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<HashMap<Uuid, Instant>>);

impl Recent {
    const LASTS: Duration = Duration::from_secs(1);

    /// Remembers that it is true.
    pub(crate) fn note(&self, organization: Uuid) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() >= MAX_ORGANIZATIONS {
            noted.retain(|_, at| at.elapsed() < Self::LASTS);
        }
        if noted.len() < MAX_ORGANIZATIONS || noted.contains_key(&organization) {
            noted.insert(organization, Instant::now());
        }
    }

    /// Whether it was true within the last second.
    pub(crate) fn has(&self, organization: Uuid) -> bool {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.get(&organization).is_some_and(|at| at.elapsed() < Self::LASTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn organizations_are_cached_for_a_second_and_their_number_is_bounded() {
        let recent = Recent::default();
        let [one, other] = [Uuid::from_u128(1), Uuid::from_u128(2)];
        recent.note(one);
        assert!(recent.has(one) && !recent.has(other));
        for number in 0..2 * MAX_ORGANIZATIONS as u128 {
            recent.note(Uuid::from_u128(number));
        }
        assert!(recent.0.lock().unwrap().len() <= MAX_ORGANIZATIONS);
        std::thread::sleep(Recent::LASTS);
        assert!(!recent.has(one));
        // those who are forgotten leave room for others
        let new = Uuid::from_u128(u128::MAX);
        recent.note(new);
        assert!(recent.has(new));
    }
}
