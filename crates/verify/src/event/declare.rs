//! How events are declared. Every crate that logs has its own declarations; this is what they share.

/// An event of the log, as it was declared.
#[derive(Clone, Copy, Debug)]
pub struct DeclaredEvent {
    /// Its name, such as `token.issued`; tracing's metadata carry it too.
    pub name: &'static str,
    /// What it means, in a sentence.
    pub meaning: &'static str,
    /// The levels of each form, such as `warn`.
    pub levels: &'static [&'static [&'static str]],
    /// The fields of each form.
    pub fields: &'static [&'static [&'static str]],
}

/// Declares the events of a crate, in its module `event`: what each means, its name, and its forms. A form has a type,
/// the levels at which it may be logged, its fields, and a sentence where more is said than the name:
///
/// ```text
/// jeton_verify::events! {
///     /// The store cannot be reached.
///     "store.unreachable" => StoreUnreachable<'e>: warn { address: ShownValue<'e>, hint: Option<&'e str> } "nothing works";
/// }
/// ```
///
/// `StoreUnreachable { address, hint }.warn()` logs it, and no other level compiles. `EVENTS` is the list of all.
#[doc(hidden)]
#[macro_export]
macro_rules! events {
    ($(
        #[doc = $meaning:literal]
        $name:literal => $(
            $form:ident $(<$e:lifetime>)?: $($level:ident)|+ { $($fields:tt)* } $($words:literal)?
        ),+;
    )+) => {
        $($(
            $crate::events!(@form $meaning $form [$($e)?] { $($fields)* });
            $crate::events!(@log $name [$($words)?] $form [$($e)?] [$($level)+] { $($fields)* });
        )+)+

        /// The events of this crate.
        pub const EVENTS: &[$crate::event::DeclaredEvent] = &[$($crate::event::DeclaredEvent {
            name: $name,
            meaning: $meaning,
            levels: &[$(&[$(stringify!($level)),+]),+],
            fields: &[$($crate::events!(@names { $($fields)* })),+],
        }),+];
    };
    (@form $meaning:literal $form:ident [$($e:lifetime)?] { $($field:ident: $type:ty),* $(,)? }) => {
        #[doc = $meaning]
        #[must_use = "the method that is named for its level logs it"]
        pub(crate) struct $form $(<$e>)? {
            $(pub(crate) $field: $type,)*
        }
    };
    (@log $name:literal [$($words:literal)?] $form:ident [$($e:lifetime)?] [$($level:ident)+] $fields:tt) => {
        impl $(<$e>)? $form $(<$e>)? {
            /// The name, and what is said in words.
            const TEXT: &'static str = concat!($name $(, ": ", $words)?);

            $(
                /// Logs it at this level.
                pub(crate) fn $level(self) {
                    $crate::events!(@line self $level $name $fields);
                }
            )+
        }
    };
    (@line $self:ident $level:ident $name:literal { $($field:ident: $type:ty),* $(,)? }) => {
        tracing::$level!(name: $name, message = Self::TEXT, $($field = $self.$field),*)
    };
    (@names { $($field:ident: $type:ty),* $(,)? }) => {
        &[$(stringify!($field)),*]
    };
}
