//! Attributes that make a test of an `async fn` for each database.
//!
//! The function takes a running `TestApp`. It stays as it is, and a module of the same name holds
//! its tests, one per database: `a_member_cannot_delete_a_campaign::sqlite` and so on.

use proc_macro::TokenStream;
use proc_macro2::{Ident, TokenStream as Tokens};
use quote::quote;
use syn::{Error, ItemFn, MetaNameValue, parse::Nothing, parse_macro_input};

/// Makes a test of the function on SQLite and one on PostgreSQL.
///
/// `#[on_both_databases(settings = EXPRESSION)]` starts the service with these settings.
#[proc_macro_attribute]
pub fn on_both_databases(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    let mut settings = quote!(::std::default::Default::default());
    if !arguments.is_empty() {
        let argument = parse_macro_input!(arguments as MetaNameValue);
        if !argument.path.is_ident("settings") {
            let error = Error::new_spanned(argument.path, "expected `settings = EXPRESSION`");
            return error.into_compile_error().into();
        }
        let expression = argument.value;
        settings = quote!({
            use super::*;
            #expression
        });
    }
    let databases = [
        ("sqlite", quote!(with_settings(::campaigns_tests::Backend::Sqlite, #settings))),
        ("postgres", quote!(with_settings(::campaigns_tests::Backend::Postgres, #settings))),
    ];
    with_tests(&function, &databases)
}

/// Makes a test of the function on SQLite and one on PostgreSQL, and three more on PostgreSQL: on a
/// schema that another program made, behind row security, and behind a pooler.
#[proc_macro_attribute]
pub fn on_every_database(arguments: TokenStream, item: TokenStream) -> TokenStream {
    parse_macro_input!(arguments as Nothing);
    let function = parse_macro_input!(item as ItemFn);
    let databases = [
        ("sqlite", quote!(start(::campaigns_tests::Backend::Sqlite))),
        ("postgres", quote!(start(::campaigns_tests::Backend::Postgres))),
        ("adopted", quote!(adopted())),
        ("behind_row_security", quote!(behind_row_security())),
        ("behind_a_pooler", quote!(behind_a_pooler())),
    ];
    with_tests(&function, &databases)
}

/// The function, and a module with a test for each name, which calls it with an application that
/// this constructor of `TestApp` starts.
fn with_tests(function: &ItemFn, databases: &[(&str, Tokens)]) -> TokenStream {
    let name = &function.sig.ident;
    let tests = databases.iter().map(|(database, app)| {
        let test = Ident::new(database, name.span());
        quote! {
            #[tokio::test]
            async fn #test() {
                super::#name(::campaigns_tests::TestApp::#app.await).await;
            }
        }
    });
    quote! {
        #function

        mod #name {
            #(#tests)*
        }
    }
    .into()
}
