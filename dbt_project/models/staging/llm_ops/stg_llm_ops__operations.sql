with source as (

    select * from {{ source('llm_ops', 'llm_operations') }}

),

renamed as (

    select
        operation_id,
        session_id,
        parent_operation_id,
        cast(action_id as text) as action_id,

        cast(operation_type as text) as operation_type,
        cast(provider as text) as provider,
        cast(model as text) as model,
        cast(service_tier as text) as service_tier,
        cast(status as text) as status,

        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
        cache_write_1h_tokens,
        reasoning_tokens,
        input_audio_tokens,
        cache_read_audio_tokens,
        output_audio_tokens,
        latency_ms,
        time_to_first_token_ms,
        cost as recorded_cost_usd,

        coalesce(error_message, '') <> '' as has_error_message,
        -- The words stay where they are; what kind of error they tell of does not.
        {{ error_class('status', 'error_message') }} as error_class,
        (extras -> 'refused') is not null as has_refused_values,

        {{ business_date(to_utc('"timestamp"')) }} as operation_date,

        {{ to_utc('"timestamp"') }} as started_at,
        timestamp as started_at_instant,
        {{ to_utc('loaded_at') }} as loaded_at,
        loaded_at as loaded_at_instant

    from source

)

select * from renamed
