//! Opens and clicks of machines: privacy proxies, scanners of mail gateways, crawlers.
//!
//! An event is a machine's if the provider says so, if an open has the user agent of Apple's privacy proxy,
//! if the user agent contains a line of a list, or if it belongs to a burst of clicks. The image proxies of
//! Gmail and Yahoo fetch an image when a person opens the message, so the list does not apply to them.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::bounds::{MAX_AGENTS, MAX_USER_AGENT, start};

/// The reason of a fetch by Apple's Mail Privacy Protection.
pub const APPLE_MPP: &str = "apple-mpp";

/// The reason of a fetch by a scanner or a crawler.
pub const SCANNER: &str = "scanner";

/// The reason of a click in a burst.
pub const BURST: &str = "burst";

/// The number of different links that make a burst.
pub const BURST_LINKS: usize = 3;

/// The time within which they are clicked.
pub const BURST_WINDOW: TimeDelta = TimeDelta::seconds(2);

/// The whole user agent of Apple's proxy, which sends no more
/// (<https://documentation.mailgun.com/docs/mailgun/user-manual/events/events>, `"bot": "apple"`).
const APPLE_AGENT: &str = "Mozilla/5.0";

/// Image proxies that fetch when a person opens the message.
const PERSONS: [&str; 2] = ["googleimageproxy", "yahoomailproxy"];

/// The list that this crate carries.
const AGENTS: &str = include_str!("machine-agents.txt");

/// An event that a machine can cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engagement {
    /// The image of a message was fetched.
    Open,
    /// A link was visited.
    Click,
}

/// The user agents of machines: parts of them, compared without case.
#[derive(Clone, Debug)]
pub struct MachineAgents(Vec<String>);

/// A line of a list that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgentsError {
    /// It is so short that it is part of most user agents.
    #[error("line {line}: this has less than four characters, and marks too much")]
    Short {
        /// Its number, from 1.
        line: usize,
    },
    /// It is longer than what is kept of a user agent.
    #[error("line {line}: this has more than {MAX_USER_AGENT} bytes")]
    Long {
        /// Its number, from 1.
        line: usize,
    },
    /// There are too many.
    #[error("this has more than {MAX_AGENTS} lines")]
    Many,
}

impl Default for MachineAgents {
    fn default() -> Self {
        Self(lines(AGENTS).map(|(_, line)| line.to_lowercase()).collect())
    }
}

impl MachineAgents {
    /// Adds the lines of a text. Empty lines, and those that start with `#`, are skipped.
    ///
    /// # Errors
    /// See [`AgentsError`].
    pub fn extend(&mut self, text: &str) -> Result<(), AgentsError> {
        for (line, agent) in lines(text) {
            if agent.chars().count() < 4 {
                return Err(AgentsError::Short { line });
            }
            if agent.len() > MAX_USER_AGENT {
                return Err(AgentsError::Long { line });
            }
            if self.0.len() >= MAX_AGENTS {
                return Err(AgentsError::Many);
            }
            self.0.push(agent.to_lowercase());
        }
        Ok(())
    }

    /// The reasons why an event is a machine's, for `metadata.machineReasons`. None for a person's. Only the
    /// part of the user agent that is kept counts.
    #[must_use]
    pub fn reasons(&self, engagement: Engagement, user_agent: Option<&str>) -> Vec<&'static str> {
        let Some(user_agent) = user_agent.map(str::trim) else { return Vec::new() };
        if engagement == Engagement::Open && user_agent == APPLE_AGENT {
            return vec![APPLE_MPP];
        }
        let user_agent = start(user_agent, MAX_USER_AGENT).to_lowercase();
        if PERSONS.iter().any(|person| user_agent.contains(person)) {
            return Vec::new();
        }
        let is_listed = self.0.iter().any(|agent| user_agent.contains(agent.as_str()));
        if is_listed { vec![SCANNER] } else { Vec::new() }
    }
}

/// Lines with their numbers, without comments.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..)
        .zip(text.lines().map(str::trim))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// For each click of one send, in any order, whether it belongs to a burst: to clicks on [`BURST_LINKS`] or
/// more different links within [`BURST_WINDOW`]. All clicks of a burst do, the first too.
#[must_use]
pub fn bursts(clicks: &[(DateTime<Utc>, &str)]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..clicks.len()).collect();
    order.sort_by_key(|index| clicks[*index].0);
    let mut in_burst = vec![false; clicks.len()];
    let mut links: HashMap<&str, usize> = HashMap::new();
    // the window of clicks order[first..=last], and the end of what is marked
    let (mut first, mut marked) = (0, 0);
    for last in 0..order.len() {
        let (at, link) = clicks[order[last]];
        *links.entry(link).or_default() += 1;
        while at - clicks[order[first]].0 > BURST_WINDOW {
            let gone = clicks[order[first]].1;
            links.entry(gone).and_modify(|count| *count -= 1);
            if links.get(gone) == Some(&0) {
                links.remove(gone);
            }
            first += 1;
        }
        if links.len() >= BURST_LINKS {
            for index in &order[first.max(marked)..=last] {
                in_burst[*index] = true;
            }
            marked = last + 1;
        }
    }
    in_burst
}
