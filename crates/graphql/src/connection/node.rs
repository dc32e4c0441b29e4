//! The objects in connections.

use campaigns_operation::object::Object;

use crate::rows::RowObject;

/// An object that can be the node of a connection.
pub(crate) trait ConnectionNode: RowObject + Object + Clone + 'static {
    /// Its name in cursors.
    const NAME: &'static str;
    /// Whether its cursors are sealed, because they contain information that the organization must
    /// not see.
    const SEALED: bool = false;
}
