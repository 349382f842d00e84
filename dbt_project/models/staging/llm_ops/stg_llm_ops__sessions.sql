with source as (

    select * from {{ source('llm_ops', 'llm_sessions') }}

),

renamed as (

    select
        session_id,

        cast(workspace as text) as workspace,
        cast(agent_id as text) as agent_id,

        {{ to_utc('created_at') }} as created_at,
        {{ to_utc('loaded_at') }} as loaded_at,
        loaded_at as loaded_at_instant

    from source

)

select * from renamed
