//! `Company`.

use async_graphql::{ID, Object};
use campaigns_entity::company;

use crate::{rows::objects, shown::Text};

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
    async fn name(&self) -> Text<&str> {
        Text(&self.0.name)
    }

    /// Its domain.
    async fn domain(&self) -> Option<Text<&str>> {
        self.0.domain.as_deref().map(Text)
    }

    /// Its industry.
    async fn industry(&self) -> Option<Text<&str>> {
        self.0.industry.as_deref().map(Text)
    }

    /// How large it is.
    async fn size(&self) -> Option<Text<&str>> {
        self.0.size.as_deref().map(Text)
    }
}
