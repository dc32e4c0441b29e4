//! Attributes that create a test of an `async fn` for each database.
//!
//! The function takes a running `TestApp`. It stays as it is, and a module of the same name holds
//! its tests, one per database: `a_member_cannot_delete_a_campaign::sqlite` and so on.

use proc_macro::TokenStream;
use proc_macro2::{Ident, TokenStream as Tokens};
use quote::quote;
use syn::{Error, ItemFn, MetaNameValue, parse::Nothing, parse_macro_input};

/// Creates a test of the function on SQLite and one on PostgreSQL.
///
/// `#[on_both_databases(settings = EXPRESSION)]` starts the service with these settings.
#[proc_macro_attribute]
pub fn on_both_databases(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    let mut settings = None;
    if !arguments.is_empty() {
        let argument = parse_macro_input!(arguments as MetaNameValue);
        if !argument.path.is_ident("settings") {
            let error = Error::new_spanned(argument.path, "expected `settings = EXPRESSION`");
            return error.into_compile_error().into();
        }
        let expression = argument.value;
        settings = Some(quote!(.settings({
            use super::*;
            #expression
        })));
    }
    let apps = [
        ("sqlite", quote!(on(::campaigns_tests::Backend::Sqlite)#settings)),
        ("postgres", quote!(on(::campaigns_tests::Backend::Postgres)#settings)),
    ];
    with_tests(&function, &apps)
}

/// Creates a test of the function on SQLite and one on PostgreSQL, and three more on PostgreSQL: on
/// the schema of another program, behind row security, and behind a pooler.
#[proc_macro_attribute]
pub fn on_every_database(arguments: TokenStream, item: TokenStream) -> TokenStream {
    parse_macro_input!(arguments as Nothing);
    let function = parse_macro_input!(item as ItemFn);
    let apps = [
        ("sqlite", quote!(on(::campaigns_tests::Backend::Sqlite))),
        ("postgres", quote!(on(::campaigns_tests::Backend::Postgres))),
        ("adopted", quote!(adopted())),
        ("behind_row_security", quote!(adopted().row_security())),
        ("behind_a_pooler", quote!(on(::campaigns_tests::Backend::Postgres).pooled())),
    ];
    with_tests(&function, &apps)
}

/// The function, and a module with a test for each name, which calls the function with the
/// application that this builder of `TestApp` starts.
fn with_tests(function: &ItemFn, apps: &[(&str, Tokens)]) -> TokenStream {
    let name = &function.sig.ident;
    let tests = apps.iter().map(|(test, app)| {
        let test = Ident::new(test, name.span());
        quote! {
            #[tokio::test]
            async fn #test() {
                super::#name(::campaigns_tests::TestApp::#app.start().await).await;
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
