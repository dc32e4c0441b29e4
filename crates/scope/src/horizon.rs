//! The settled part of the feed. The migration `m0012_horizons` explains settled positions, and why
//! organizations have buckets.

use std::collections::HashMap;

use sea_orm::{DbErr, QueryResult};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The bucket of an organization. An open transaction that has written events delays only the feeds
/// of its organizations' buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bucket(i32);

/// The number of buckets.
const BUCKETS: u32 = 4_095;

impl Bucket {
    /// The bucket of transactions that delay every organization.
    const ALL: Self = Self(0);

    /// The bucket of an organization, as `campaign_feed_bucket` computes it.
    ///
    /// # Panics
    /// Never: a remainder of the division by 4,095 is an `i32`.
    #[must_use]
    pub fn of(organization: Uuid) -> Self {
        let hash = Sha256::digest(organization.as_bytes());
        let start = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
        Self(i32::try_from(1 + start % BUCKETS).expect("it is at most 4,095"))
    }
}

/// A snapshot of the settled position of each organization's feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Horizon {
    /// The last drawn position.
    drawn: i64,
    /// The buckets with open transactions, each with the lowest position at which one started to
    /// write.
    held: HashMap<Bucket, i64>,
}

impl Horizon {
    /// The horizon without open transactions.
    pub(crate) fn free(drawn: i64) -> Self {
        Self { drawn, held: HashMap::new() }
    }

    /// Reads the row that `campaign_feed_horizon` returns. `None` if no position was drawn in the
    /// meantime.
    pub(crate) fn read(row: &QueryResult) -> Result<Option<Self>, DbErr> {
        let drawn = row.try_get("", "drawn")?;
        let (buckets, entered): (Option<Vec<i32>>, Option<Vec<i64>>) =
            (row.try_get("", "buckets")?, row.try_get("", "entered")?);
        Ok(buckets.zip(entered).map(|(buckets, entered)| Self {
            drawn,
            held: buckets.into_iter().map(Bucket).zip(entered).collect(),
        }))
    }

    /// The last drawn position, of any organization.
    #[must_use]
    pub fn drawn(&self) -> i64 {
        self.drawn
    }

    /// The settled position of a bucket's organizations: later statements see all of their events up
    /// to it, and no event will ever be added at or before it.
    #[must_use]
    pub fn of(&self, bucket: Bucket) -> i64 {
        let held = [bucket, Bucket::ALL].into_iter().filter_map(|of| self.held.get(&of));
        held.copied().chain([self.drawn]).min().unwrap_or(self.drawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_held_by_its_own_transactions_and_by_those_of_all() {
        let (a, b) = (Bucket(5), Bucket(4_095));
        let held = |held: &[(i32, i64)]| Horizon {
            drawn: 100,
            held: held.iter().map(|(bucket, entered)| (Bucket(*bucket), *entered)).collect(),
        };
        assert_eq!(Horizon::free(100).of(a), 100);
        assert_eq!((held(&[(5, 60)]).of(a), held(&[(5, 60)]).of(b)), (60, 100));
        assert_eq!((held(&[(5, 60), (0, 70)]).of(a), held(&[(5, 60), (0, 70)]).of(b)), (60, 70));
        // one that entered after the last number was read
        assert_eq!(held(&[(5, 120)]).of(a), 100);
    }

    #[test]
    fn no_organization_has_the_bucket_of_all() {
        let buckets: Vec<i32> = (0..20_000).map(|id| Bucket::of(Uuid::from_u128(id)).0).collect();
        assert!(buckets.iter().all(|bucket| (1..=4_095).contains(bucket)));
        // ids that are counted up are spread as well
        let most = (1..=4_095).map(|of| buckets.iter().filter(|bucket| **bucket == of).count());
        assert!(most.max().unwrap() < 25);
    }
}
