//! `campaign_events`.

use sea_orm::{entity::prelude::*, prelude::Json};

use crate::{StoredJson, StoredText, StoredTime};

/// The type of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Enum", enum_name = "campaign_event_type")]
pub enum EventType {
    /// The recipient opened the message.
    #[sea_orm(string_value = "open")]
    Open,
    /// The recipient clicked a link.
    #[sea_orm(string_value = "click")]
    Click,
    /// The recipient unsubscribed.
    #[sea_orm(string_value = "unsubscribe")]
    Unsubscribe,
    /// The recipient reported the message as spam.
    #[sea_orm(string_value = "complaint")]
    Complaint,
    /// The message bounced.
    #[sea_orm(string_value = "bounce")]
    Bounce,
}

/// An engagement event of a send.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "campaign_events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub org_id: Uuid,
    pub send_id: Uuid,
    pub event_type: EventType,
    pub url: Option<StoredText>,
    pub occurred_at: StoredTime,
    pub created_at: StoredTime,
    pub updated_at: StoredTime,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Option<StoredJson>,
    /// The event's position in the order of all events. Set by the database.
    pub feed_position: i64,
    /// The campaign of its send. Maintained by the database.
    pub send_campaign_id: Uuid,
    /// The contact of its send. Maintained by the database.
    pub send_contact_id: Uuid,
    /// The ID that its reporter chose, if an event of another organization has it as its key.
    pub chosen_id: Option<Uuid>,
    #[sea_orm(belongs_to, from = "send_id", to = "id")]
    pub send: HasOne<super::send::Entity>,
}

impl Model {
    /// The event's ID as the organization sees it.
    #[must_use]
    pub fn shown_id(&self) -> Uuid {
        self.chosen_id.unwrap_or(self.id)
    }

    /// Whether a machine caused the event.
    #[must_use]
    pub fn is_machine(&self) -> bool {
        self.metadata.as_ref().is_some_and(is_machine)
    }
}

/// Whether an event with this metadata is a machine's: `machine` is true.
#[must_use]
pub fn is_machine(metadata: &StoredJson) -> bool {
    metadata.0.get("machine") == Some(&Json::Bool(true))
}

impl ActiveModelBehavior for ActiveModel {}
