with source as (

    select * from {{ source('llm_ops', 'llm_messages') }}

),

renamed as (

    select
        message_id,
        operation_id,

        cast(role as text) as message_role,

        sequence_number,
        {{ message_content_length() }} as content_length_characters,

        {{ to_utc('loaded_at') }} as loaded_at,
        loaded_at as loaded_at_instant

    from source

)

select * from renamed
