//! The campaigns of the demo data.

use campaigns_entity::campaign::CampaignStatus;

/// The plan of a campaign. Shares are fractions of 1.
pub(super) struct Plan {
    pub(super) name: &'static str,
    pub(super) subject: &'static str,
    pub(super) status: CampaignStatus,
    /// The days since it was sent. Negative if it has not been sent yet.
    pub(super) age: i64,
    /// The segment that it is sent to.
    pub(super) segment: usize,
    /// The share of it that has been sent.
    pub(super) progress: f64,
    pub(super) bounces: f64,
    pub(super) opens: f64,
    /// The share of those who opened.
    pub(super) clicks: f64,
    pub(super) unsubscribes: f64,
    pub(super) complaints: f64,
}

const NOT_SENT: Plan = Plan {
    name: "",
    subject: "",
    status: CampaignStatus::Draft,
    age: 0,
    segment: 0,
    progress: 0.0,
    bounces: 0.012,
    opens: 0.38,
    clicks: 0.18,
    unsubscribes: 0.004,
    complaints: 0.000_4,
};

const SENT: Plan = Plan { status: CampaignStatus::Sent, progress: 1.0, ..NOT_SENT };

/// The campaigns of three months. Two of them go badly: one is sent to a bought list of stale
/// addresses, one to people who did not ask for it.
pub(super) const PLANS: &[Plan] = &[
    Plan {
        name: "Spring catalogue",
        subject: "The spring catalogue is here",
        age: 86,
        segment: 4,
        ..SENT
    },
    Plan {
        name: "Trail boots, back in stock",
        subject: "Your size is back",
        age: 74,
        segment: 0,
        opens: 0.46,
        clicks: 0.31,
        ..SENT
    },
    Plan {
        name: "Trade show follow-up",
        subject: "It was good to meet you",
        age: 63,
        segment: 1,
        opens: 0.41,
        ..SENT
    },
    Plan {
        name: "Partner list, first contact",
        subject: "An introduction",
        age: 52,
        segment: 2,
        bounces: 0.24,
        opens: 0.14,
        clicks: 0.06,
        unsubscribes: 0.02,
        complaints: 0.006,
        ..SENT
    },
    Plan {
        name: "Summer sale",
        subject: "Three days, everything a fifth off",
        age: 41,
        segment: 4,
        opens: 0.35,
        clicks: 0.24,
        ..SENT
    },
    Plan {
        name: "Gear care guide",
        subject: "Make it last: how to wash a tent",
        age: 29,
        segment: 0,
        opens: 0.44,
        clicks: 0.12,
        ..SENT
    },
    Plan {
        name: "Daily deals (trial)",
        subject: "DEAL OF THE DAY!!!",
        age: 18,
        segment: 4,
        opens: 0.17,
        clicks: 0.05,
        unsubscribes: 0.055,
        complaints: 0.014,
        ..SENT
    },
    Plan {
        name: "Shipping to Europe",
        subject: "Now from Rotterdam: two days to your door",
        age: 9,
        segment: 3,
        opens: 0.42,
        clicks: 0.22,
        ..SENT
    },
    Plan {
        name: "Autumn preview",
        subject: "First look: autumn",
        age: 0,
        segment: 4,
        status: CampaignStatus::Sending,
        progress: 0.55,
        ..NOT_SENT
    },
    Plan {
        name: "Customer survey",
        subject: "Five questions, two minutes",
        age: 3,
        segment: 0,
        status: CampaignStatus::Paused,
        progress: 0.3,
        opens: 0.3,
        ..NOT_SENT
    },
    Plan {
        name: "Winter boots launch",
        subject: "Warm feet, from Thursday",
        age: -6,
        segment: 0,
        status: CampaignStatus::Scheduled,
        ..NOT_SENT
    },
    Plan {
        name: "Holiday opening hours",
        subject: "When we are there",
        age: -20,
        segment: 4,
        status: CampaignStatus::Draft,
        ..NOT_SENT
    },
    Plan {
        name: "Flash sale, tents",
        subject: "Tents: today only",
        age: 35,
        segment: 1,
        status: CampaignStatus::Canceled,
        ..NOT_SENT
    },
];

/// The campaigns of the small organization.
pub(super) const SMALL_PLANS: &[Plan] = &[
    Plan {
        name: "First flush Darjeeling",
        subject: "It has arrived",
        age: 21,
        segment: 4,
        opens: 0.6,
        clicks: 0.35,
        ..SENT
    },
    Plan {
        name: "Tasting evening",
        subject: "Join us on Friday",
        age: -4,
        segment: 0,
        status: CampaignStatus::Scheduled,
        ..NOT_SENT
    },
];
