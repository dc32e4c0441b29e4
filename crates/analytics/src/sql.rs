//! SQL that is generated from a list of counts: `campaign_counts!(columns)`, `event_counts!(sums)`.

/// The columns of the counts, each after a comma.
macro_rules! columns {
    ($($(#[$doc:meta])* $shown:literal $count:ident: $kind:ident $(($($of:tt)+))?;)*) => {
        concat!($(", ", stringify!($count)),*)
    };
}
pub(crate) use columns;

/// The sums of the counts, each after a comma.
macro_rules! sums {
    ($($(#[$doc:meta])* $shown:literal $count:ident: $kind:ident $(($($of:tt)+))?;)*) => {
        concat!($(", CAST(sum(", stringify!($count), ") AS bigint) AS ", stringify!($count)),*)
    };
}
pub(crate) use sums;
