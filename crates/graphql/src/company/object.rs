//! `Company`.

use async_graphql::{ID, Object};
use campaigns_entity::company;

use crate::rows::objects;

objects! {
    /// A row of `companies`.
    Company of company;
}

/// A company that contacts work for.
#[Object]
impl Company {
    /// The company's UUID.
    pub(crate) async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// What it is called.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Its domain.
    async fn domain(&self) -> Option<&str> {
        self.0.domain.as_deref()
    }

    /// Its industry.
    async fn industry(&self) -> Option<&str> {
        self.0.industry.as_deref()
    }

    /// How large it is.
    async fn size(&self) -> Option<&str> {
        self.0.size.as_deref()
    }
}
