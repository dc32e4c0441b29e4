//! Where a provider returns the ID of a send: in its metadata, or in the headers of the message.

use uuid::Uuid;

use crate::json::Json;

/// The send's ID in a provider's metadata: an object with `send_id`, its JSON text, a list of names and
/// values, a list of tags, or the ID alone.
pub(crate) fn in_metadata(metadata: Option<Json<'_>>) -> Option<Uuid> {
    let metadata = metadata?;
    if let Some(object) = metadata.object() {
        return object.texts("send_id").first().and_then(|id| id.parse().ok());
    }
    if let Some(list) = metadata.list() {
        let paired = list.iter().filter_map(|entry| entry.object()).find_map(|entry| {
            let is_send = entry.text("name").is_some_and(|name| name == "send_id");
            entry.text("value").filter(|_| is_send)?.parse().ok()
        });
        return paired
            .or_else(|| list.iter().filter_map(|tag| tag.text()).find_map(|tag| tagged(&tag)));
    }
    let text = metadata.text()?;
    match Json::parse(&text) {
        Some(inner) if text.starts_with(['{', '[']) => match inner.object() {
            Some(object) => object.texts("send_id").first().and_then(|id| id.parse().ok()),
            None => inner.texts().iter().find_map(|tag| tagged(tag)),
        },
        _ => tagged(&text).or_else(|| text.split('|').find_map(named)),
    }
}

/// The send's ID in a tag: `send_id:…`, `send_id=…` or the ID alone.
fn tagged(tag: &str) -> Option<Uuid> {
    named(tag).or_else(|| tag.parse().ok())
}

/// The send's ID behind its name.
fn named(tag: &str) -> Option<Uuid> {
    tag.trim().strip_prefix("send_id")?.trim_start_matches([':', '=', ' ']).parse().ok()
}

/// The send's ID in the header that this service sets on every message, where a provider returns headers.
pub(crate) fn in_headers(headers: Option<Json<'_>>) -> Option<Uuid> {
    header(headers, HEADER)?.parse().ok()
}

/// The header with the send's ID.
pub(crate) const HEADER: &str = "X-Campaigns-Send";

/// A header of a message, from a list of names and values or an object.
pub(crate) fn header(headers: Option<Json<'_>>, name: &str) -> Option<String> {
    let headers = headers?;
    if let Some(object) = headers.object() {
        return object
            .fields()
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .and_then(|(_, value)| value.texts().into_iter().next());
    }
    headers.list()?.into_iter().filter_map(Json::object).find_map(|header| {
        let is_it = header.text("name").is_some_and(|field| field.eq_ignore_ascii_case(name));
        header.text("value").filter(|_| is_it)
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::in_metadata;
    use crate::json::Json;

    #[test]
    fn a_send_id_is_found_in_each_form_of_metadata() {
        let id: Uuid = "0198f6a2-7c31-7b5e-9d02-5f1f0a6c4e11".parse().expect("a UUID");
        for metadata in [
            r#"{"send_id":"ID"}"#,
            r#"{"send_id":["ID"]}"#,
            r#"[{"name":"a","value":"b"},{"name":"send_id","value":"ID"}]"#,
            r#"["august","ID"]"#,
            r#"["send_id:ID"]"#,
            r#""ID""#,
            r#""send_id=ID""#,
            r#""campaign_id:0198f6a0-11aa-7c10-8b33-0d6a51c0aa01|send_id:ID""#,
            r#""{\"send_id\":\"ID\"}""#,
            r#""[\"august\",\"ID\"]""#,
        ] {
            let text = metadata.replace("ID", &id.to_string());
            assert_eq!(in_metadata(Json::parse(&text)), Some(id), "{metadata}");
        }
        for nothing in ["null", "{}", "[]", "3", r#"{"send_id":"3"}"#, r#""august""#, r#""{""#] {
            assert_eq!(in_metadata(Json::parse(nothing)), None, "{nothing}");
        }
    }
}
